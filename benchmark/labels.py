"""The label of a mask that means the same in every dataset."""

IGNORE = 255
"""Padding, and pixels that nobody annotated: no loss and no metric counts them."""
