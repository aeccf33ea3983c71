"""Evaluators: the port, functions as evaluators, built-in ones, judges (floor 2)."""
