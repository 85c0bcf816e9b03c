"""What profiles of cost and speed read like."""
