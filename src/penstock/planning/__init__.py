"""The plan of a study: its runs, their order, and what is wrong with it (floor 1)."""
