"""Running: from a plan and what it names to results, one attempt at a time (floor 4)."""
