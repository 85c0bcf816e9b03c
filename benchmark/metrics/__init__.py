"""What a predicted mask is worth: counts, surface distances, empty masks, means over images."""

from benchmark.metrics.aggregate import InconsistentScores, Score, aggregate
from benchmark.metrics.cases import Row, score_case
from benchmark.metrics.confusion import Confusion, confusion
from benchmark.metrics.definitions import METRICS, Metric
from benchmark.metrics.surface import SurfaceDistances, surface_distances

__all__ = [
    "METRICS",
    "Confusion",
    "InconsistentScores",
    "Metric",
    "Row",
    "Score",
    "SurfaceDistances",
    "aggregate",
    "confusion",
    "score_case",
    "surface_distances",
]
