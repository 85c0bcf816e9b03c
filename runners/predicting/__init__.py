"""Trained networks on images of one's own: masks, pictures, and how much of the lung is taken."""
