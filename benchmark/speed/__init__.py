"""How fast a network runs: the clock, the ways of running it, and the state of the machine."""
