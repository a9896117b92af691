"""How good a tagger's order of tags is."""
