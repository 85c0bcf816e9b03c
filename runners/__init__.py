"""How runs happen: plan, train, evaluate, checkpoint, engines, the command line."""
