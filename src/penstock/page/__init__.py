"""The page: what came of a study in one file, from one frozen value (floor 5)."""
