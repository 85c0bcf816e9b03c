"""The scores of one image, with a stated answer for every empty mask."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np

from benchmark.labels import IGNORE
from benchmark.metrics.confusion import Confusion, confusion
from benchmark.metrics.definitions import OVERLAPS
from benchmark.metrics.surface import SurfaceDistances, surface_distances
from benchmark.protocols.sections import ScoreRule

Row = dict[str, float | int | str]


def _foreground(labels: np.ndarray) -> np.ndarray:
    """True where a label map is not background (0); a bool map as it is."""
    if labels.dtype == np.bool_:
        return labels
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"a label map holds whole numbers or bools, not {labels.dtype}")
    return np.asarray(labels != 0)


def _left_out(pred: np.ndarray, truth: np.ndarray, ignore: np.ndarray | None) -> np.ndarray | None:
    """Pixels that do not count: `ignore` and the truth's label 255; None when there are none."""
    if pred.dtype != np.bool_ and (pred == IGNORE).any():
        raise ValueError(f"a prediction cannot hold the ignore label {IGNORE}")
    if truth.dtype == np.bool_:
        return ignore
    marked = truth == IGNORE
    if ignore is not None:
        marked = marked | ignore
    return marked if marked.any() else None


def status_of(counts: Confusion) -> str:
    """Which of the two masks is empty, as it stands in the row."""
    predicted, true = counts.tp + counts.fp > 0, counts.tp + counts.fn > 0
    if predicted and true:
        return "ok"
    if true:
        return "pred_empty"
    return "truth_empty" if predicted else "both_empty"


def overlaps_of(counts: Confusion, status: str, rule: ScoreRule) -> dict[str, float]:
    """The ratios of one image, by measure."""
    values: dict[str, float] = {name: getattr(counts, name) for name in OVERLAPS}
    if status == "both_empty" and rule.both_empty == "perfect":
        values |= {"dice": 1.0, "jaccard": 1.0}
    if status == "pred_empty" and rule.pred_empty == "zero-all":
        values = dict.fromkeys(values, 0.0)
    return values


def _no_surface(status: str, diagonal: float, rule: ScoreRule) -> SurfaceDistances:
    """What stands for the distances where at least one mask is empty."""
    if status == "both_empty":
        value = 0.0 if rule.both_empty == "perfect" else math.nan
    elif status == "pred_empty" and rule.pred_empty == "zero-all":
        value = 0.0
    else:
        value = diagonal
    return SurfaceDistances(value, value, value)


def _distances(
    pred: np.ndarray,
    truth: np.ndarray,
    spacing_mm: tuple[float, float] | None,
    status: str,
    rule: ScoreRule,
) -> dict[str, float]:
    """The surface distances of one image, by column."""
    height, width = truth.shape
    down, across = spacing_mm or (1.0, 1.0)
    if status != "ok":
        pixels = _no_surface(status, math.hypot(height, width), rule)
        millimetres = _no_surface(status, math.hypot(height * down, width * across), rule)
    else:
        pixels = surface_distances(pred, truth, points=rule.surface_points)
        if down == across:  # square pixels: the same distances, scaled
            millimetres = pixels.scaled(down)
        else:
            millimetres = surface_distances(pred, truth, spacing_mm, rule.surface_points)
    columns = {f"{name}_px": value for name, value in asdict(pixels).items()}
    if spacing_mm is not None:
        columns |= {f"{name}_mm": value for name, value in asdict(millimetres).items()}
    return columns


def score_case(
    pred: np.ndarray,
    truth: np.ndarray,
    ignore: np.ndarray | None,
    spacing_mm: tuple[float, float] | None,
    rule: ScoreRule,
    *,
    distances: bool = True,
) -> Row:
    """Scores one predicted mask at the size it comes in.

    Empty masks, by the rule: both empty is undefined (nan), or `perfect`: Dice and Jaccard 1 and
    distances 0, every 0/0 ratio still nan. An empty prediction alone or an empty truth alone has
    Dice and Jaccard 0, and the image's diagonal as each distance; with `zero-all` an empty
    prediction alone scores 0 everywhere, specificity and distances included, which is what
    MiniSeg's released evaluation does. The counts are never touched.

    Args:
        pred: Predicted labels, (H, W): bool, or whole numbers where all but 0 is foreground.
        truth: True labels, likewise; 255 in a label map is left out as if `ignore` named it.
        ignore: Pixels to leave out, bool, (H, W), or None. They are background to the distances.
        spacing_mm: Distance between rows and between columns, or None where it is unknown.
        rule: The `score` section of the protocol.
        distances: Whether surface distances, which take most of the time, are measured.

    Returns:
        One row: `tp fp fn tn`, `status` (`ok`, `pred_empty`, `truth_empty`, `both_empty`), the
        ratios as fractions, `hausdorff_px hd95_px assd_px`, and these as `_mm` where the spacing
        is known. nan stands for undefined.

    Raises:
        ValueError: Where shapes or types do not fit.
    """
    left_out = _left_out(pred, truth, ignore)
    found, wanted = _foreground(pred), _foreground(truth)
    counts = confusion(found, wanted, left_out)
    if left_out is not None:
        found, wanted = found & ~left_out, wanted & ~left_out
    status = status_of(counts)
    return {
        **asdict(counts),
        "status": status,
        **overlaps_of(counts, status, rule),
        **(_distances(found, wanted, spacing_mm, status, rule) if distances else {}),
    }


def is_penalised(status: str, measure: str, rule: ScoreRule) -> bool:
    """Whether a row's value is there only because exactly one of its masks is empty.

    Args:
        status: The row's status.
        measure: Name of the measure without unit, such as `dice` or `hd95`.
        rule: The `score` section that the row was scored under.

    Returns:
        True for the worst value of measures that look at the foreground, and for every measure of
        an empty prediction under `zero-all`. Specificity and accuracy else keep their own value.
    """
    if status not in ("pred_empty", "truth_empty"):
        return False
    if status == "pred_empty" and rule.pred_empty == "zero-all":
        return True
    return measure not in ("specificity", "accuracy")
