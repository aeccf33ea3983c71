"""What was announced, told again in the order in which it was saved."""
