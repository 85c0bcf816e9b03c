"""`covbench profile`: cost and speed of networks, each in processes of its own."""
