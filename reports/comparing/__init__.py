"""Two rows, two stores, two protocols, other rules of scoring."""
