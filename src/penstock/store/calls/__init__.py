"""Calls of chat models as the store keeps them, and gives them again."""
