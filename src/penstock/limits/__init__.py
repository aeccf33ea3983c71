"""How many may be in flight where nobody says it, and when nothing should begin."""
