"""The networks, one paper a file; each registers itself when it is imported."""
