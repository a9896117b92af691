"""Run files, their meaning, and the place of every artefact."""
