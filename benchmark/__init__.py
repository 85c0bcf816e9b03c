"""What is measured, and how it is judged: protocols, data, losses, metrics, cost."""
