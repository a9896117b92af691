"""How well a tagger ranks tags: do users engage with their best tags the next day?"""
