"""Pretraining of encoders by classification: the recipe, the folder of images, how each varies."""

from benchmark.pretraining.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe"]
