"""Stored predictions scored once more: under another rule, or at another threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.labels import IGNORE
from benchmark.metrics import Row, score_case
from benchmark.protocols.sections import ScoreRule
from results.spec import RunSpec
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

HALF = 0.5
"""The threshold at which networks are scored: the argmax of two classes, or a logit above 0."""

_CERTAIN = 255


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of one image, at the size at which it is scored.

    Attributes:
        mask: Labels, (H, W); 255 doesn't count.
        group: Its patient.
        spacing_mm: Distance between rows and between columns, or None.
    """

    mask: Bytes
    group: str
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Rescored:
    """A run's test images, scored from its stored predictions.

    Attributes:
        rows: A row of `score_case` for each image, with its `id` and `group`.
        close: For each image the pixels whose probability was rounded onto the threshold, so that
            the network's own decision may have been the other one.
    """

    rows: tuple[Row, ...]
    close: Mapping[str, int]


@dataclass(frozen=True)
class Rounding:
    """How the stored predictions of a run stand to the scores in its `cases.csv`.

    Attributes:
        pixels: Pixels that the rounded probability decides otherwise than the network did.
        close: Pixels whose probability lies on the threshold, rounded: no others can differ.
        unexplained: Images whose counts differ by more than such pixels can.
    """

    pixels: int
    close: int
    unexplained: tuple[str, ...]


def score_rule(spec: RunSpec) -> ScoreRule:
    """The `score` section that a run was scored under.

    Raises:
        CovbenchError: It is that of another version of covbench.
    """
    try:
        return ScoreRule.model_validate(spec.settings["score"])
    except (KeyError, ValidationError):
        raise CovbenchError(
            f"{spec.title} was scored by rules that this covbench doesn't know.",
            "Use the version of covbench that its record names.",
        ) from None


def truths_of(spec: RunSpec) -> dict[str, Truth]:
    """The truth of every image of a run's dataset, at the size that its protocol scores at.

    Raises:
        CovbenchError: The dataset isn't here, or holds other data.
    """
    from benchmark.datasets import open_dataset

    dataset = open_dataset(spec.dataset, task=spec.truth)  # no image is read
    if dataset.data_hash != spec.data_hash:
        raise CovbenchError(
            f"{spec.dataset} here holds other data ({dataset.data_hash[:8]}) than the runs "
            f"were scored on ({spec.data_hash[:8]}).",
            "Prepare the same source files with the same options: covbench data prepare.",
        )
    size = score_rule(spec).size
    masks = None if isinstance(size, str) else dataset.at_size(size)[1]
    return {
        case.id: Truth(
            dataset.mask(place) if masks is None else masks[place],
            case.group,
            case.spacing_at(size),
        )
        for place, case in enumerate(dataset.cases)
    }


def rescore(
    predictions: Mapping[str, Bytes],
    truths: Mapping[str, Truth],
    rule: ScoreRule,
    threshold: float = HALF,
    *,
    distances: bool = True,
    known: Sequence[Row] = (),
) -> Rescored:
    """Score stored probabilities.

    A stored value v stands for the probabilities from (v - 0.5) / 255 to (v + 0.5) / 255.
    Foreground is what reaches the threshold; at 0.5 that is v of 128 and above. Only where a
    probability was rounded onto the threshold (at 0.5: v = 128, which holds 0.5 itself) may the
    network have decided otherwise: it leaves a tie to the background.

    Args:
        predictions: Foreground probabilities of each image, as `read_predictions` gives them.
        truths: The truth of these images, as `truths_of` gives it.
        rule: How they are scored; its `size` has no effect, since the size is that of the
            predictions.
        threshold: Probability from which on a pixel is foreground.
        distances: Whether surface distances are measured.
        known: Rows of the same masks under a rule that differs in empty masks alone: they stand
            for the images in which neither mask is empty.

    Returns:
        A row for each image, in the order of the predictions.

    Raises:
        CovbenchError: An image is not in the dataset, or is of another size there.
    """
    import numpy as np

    before = {row["id"]: row for row in known if row["status"] == "ok"}
    exact = round(threshold * _CERTAIN, 9)
    least, on = math.ceil(exact), round(exact)  # a half goes to the even value, as torch rounds
    rows: list[Row] = []
    close: dict[str, int] = {}
    for image, probability in predictions.items():
        truth = truths.get(image)
        if truth is None or truth.mask.shape != probability.shape:
            raise CovbenchError(
                f"The prediction of {image} is {'×'.join(map(str, probability.shape))} pixels: the "
                f"dataset has {'no such image' if truth is None else 'another size'}.",
                "Take predictions and dataset from the same runs.",
            )
        left_out = truth.mask == IGNORE
        close[image] = int(np.count_nonzero((probability == on) & ~left_out))
        row = before.get(image) or {
            "id": image,
            "group": truth.group,
            **score_case(
                probability >= least,
                truth.mask,
                left_out,
                truth.spacing_mm,
                rule,
                distances=distances,
            ),
        }
        rows.append(row)
    return Rescored(tuple(rows), close)


def rounding(found: Rescored, cases: Sequence[Mapping[str, Any]]) -> Rounding:
    """Set predictions that were scored at 0.5 beside the scores of the run itself.

    Args:
        found: The run, scored from its predictions at the threshold 0.5.
        cases: The rows of its `cases.csv`.

    Returns:
        How many pixels rounding decides otherwise, and the images that it can't explain.
    """
    own = {str(row["id"]): row for row in cases}
    pixels = 0
    unexplained = sorted(own.keys() ^ found.close.keys())
    for row in found.rows:
        image = str(row["id"])
        if image not in own:
            continue
        more = {key: int(row[key]) - int(own[image][key]) for key in ("tp", "fp", "fn", "tn")}
        moved = more["tp"] + more["fp"]
        # A pixel on the threshold was background and is foreground now; the truth can't change.
        fits = more["tp"] == -more["fn"] and more["fp"] == -more["tn"]
        if not fits or min(more["tp"], more["fp"]) < 0 or moved > found.close[image]:
            unexplained.append(image)
        else:
            pixels += moved
    return Rounding(pixels, sum(found.close.values()), tuple(unexplained))
