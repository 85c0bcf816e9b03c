"""The labels of a mask that mean the same in every dataset."""

BACKGROUND = 0
IGNORE = 255
"""Padding, and pixels that nobody annotated: no loss and no metric counts them."""
