"""What happened: specifications of runs, their records, and the store that keeps them."""
