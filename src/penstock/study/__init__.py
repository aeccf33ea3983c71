"""A study as a value: what is declared, its conditions, reading and writing files (floor 1)."""
