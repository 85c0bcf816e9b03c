"""The one list of what is measured: every score's key, title, unit, direction and definition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Unit = Literal["fraction", "px", "mm"]
Aggregation = Literal["pooled", "slice", "patient"]


@dataclass(frozen=True)
class Metric:
    """One score of a run.

    Attributes:
        key: Name in a record, such as `dice_pooled` or `hd95_slice_px`.
        measure: Name without aggregation and unit, such as `dice`.
        title: Name for readers, such as `Dice`.
        unit: `fraction` (0 to 1), `px` or `mm`.
        higher_is_better: Whether a larger value is the better one.
        aggregation: `pooled` (counts of all images added up first), `slice` (mean over images)
            or `patient` (mean over a patient's images, then over patients).
        column: The per-image column that is averaged, such as `hd95_px`; empty when pooled only.
        definition: The formula or its words.
        synonyms: Other names of the same measure in the literature.
    """

    key: str
    measure: str
    title: str
    unit: Unit
    higher_is_better: bool
    aggregation: Aggregation
    column: str
    definition: str
    synonyms: tuple[str, ...]

    @property
    def label(self) -> str:
        """Column title in plain text, such as `HD95 (slice, mm)`."""
        unit = "" if self.unit == "fraction" else f", {self.unit}"
        return f"{self.title} ({self.aggregation}{unit})"

    @property
    def header(self) -> str:
        """Column title in LaTeX, with an arrow towards the better end."""
        arrow = "uparrow" if self.higher_is_better else "downarrow"
        return rf"{self.label} $\{arrow}$"


# Measure: title, definition, synonyms. Recall is the same number as sensitivity: one name here.
_Words = tuple[str, str, tuple[str, ...]]
_OVERLAPS: dict[str, _Words] = {
    "dice": ("Dice", "2 TP / (2 TP + FP + FN)", ("DSC", "F1")),
    "jaccard": ("Jaccard", "TP / (TP + FP + FN)", ("IoU of the foreground",)),
    "sensitivity": ("Sensitivity", "TP / (TP + FN)", ("recall", "true positive rate")),
    "specificity": ("Specificity", "TN / (TN + FP)", ("true negative rate",)),
    "precision": ("Precision", "TP / (TP + FP)", ("positive predictive value",)),
    "accuracy": ("Accuracy", "(TP + TN) / (TP + FP + FN + TN)", ("pixel accuracy",)),
}
_MIOU: dict[str, _Words] = {
    "miou": ("mIoU", "mean of the Jaccard indices of foreground and background", ("mean IoU",)),
}
_DISTANCES: dict[str, _Words] = {
    "hausdorff": (
        "Hausdorff",
        "largest distance from a point of one mask's surface to the other surface",
        ("HD",),
    ),
    "hd95": (
        "HD95",
        "95th percentile of both masks' surface distances, taken together",
        ("95 % Hausdorff distance",),
    ),
    "assd": (
        "ASSD",
        "mean of both masks' surface distances, taken together",
        ("average symmetric surface distance",),
    ),
}

OVERLAPS: tuple[str, ...] = tuple(_OVERLAPS)
DISTANCES: tuple[str, ...] = tuple(_DISTANCES)


def _ratios(how: Aggregation) -> Iterator[Metric]:
    """The metrics made of pixel counts, under one aggregation."""
    pooled = how == "pooled"
    for name, (title, text, synonyms) in ((_MIOU if pooled else {}) | _OVERLAPS).items():
        column = "" if pooled else name
        yield Metric(f"{name}_{how}", name, title, "fraction", True, how, column, text, synonyms)


def _lengths(how: Aggregation, unit: Unit) -> Iterator[Metric]:
    """The surface distances, under one aggregation and in one unit."""
    for name, (title, text, synonyms) in _DISTANCES.items():
        key, column = f"{name}_{how}_{unit}", f"{name}_{unit}"
        yield Metric(key, name, title, unit, False, how, column, text, synonyms)


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        *_ratios("pooled"),
        *(*_ratios("slice"), *_lengths("slice", "px"), *_lengths("slice", "mm")),
        *(*_ratios("patient"), *_lengths("patient", "px"), *_lengths("patient", "mm")),
    )
}

INSIDE_LUNG = Metric(
    key="inside_lung_pooled",
    measure="inside_lung",
    title="In lungs",
    unit="fraction",
    higher_is_better=True,
    aggregation="pooled",
    column="inside_lung_px",
    definition="share of the true foreground inside the lungs that a cascade's first network "
    "predicted: about the highest sensitivity that its second network can reach",
    synonyms=(),
)
"""Of cascades alone, beside the scores of a prediction; its column counts pixels."""
