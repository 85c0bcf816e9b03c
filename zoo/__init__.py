"""What is a model? The registry of networks, their cards, and the contract that each one keeps."""
