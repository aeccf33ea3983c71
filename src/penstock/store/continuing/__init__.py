"""Going on with a study: what earlier sessions left, and what of it still holds."""
