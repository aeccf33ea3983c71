"""Agents: what a run gives them, which shapes they have, what they return (floor 2)."""
