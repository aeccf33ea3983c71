"""A study as a value: what is declared, the conditions it makes, the runs it plans."""
