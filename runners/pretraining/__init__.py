"""Pretraining of encoders on a folder of images by class."""
