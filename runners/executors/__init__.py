"""Engines that start workers. None carries results: a run is done when its record exists."""
