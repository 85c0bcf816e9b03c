"""Figures of a paper, one style."""
