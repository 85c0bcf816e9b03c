"""Which network is best within limits."""
