"""A study's files: where they are, whose they are, and who may write them."""
