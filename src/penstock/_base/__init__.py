"""The ground: immutable facts, JSON, text, secrets; private, and known to every room (floor 0)."""
