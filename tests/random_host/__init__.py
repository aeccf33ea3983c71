"""Random studies in random hosts: whatever they do, what must hold holds."""
