"""The gate before an endpoint: who may call it next, how fast, and for how much money."""
