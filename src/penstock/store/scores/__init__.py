"""Scores as the store keeps them: which of them count, and what is to be scored."""
