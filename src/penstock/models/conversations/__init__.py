"""Conversations: a model in an agent's hand, its tools, and their servers."""
