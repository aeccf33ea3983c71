"""Subscribers: each a coroutine over a stream of events, alone in its file (floor 5)."""
