"""The test images of a comparison: their scores, pixels and truth, and which of them to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

from benchmark.labels import IGNORE
from benchmark.metrics import METRICS
from reports.boards.standings import PRIMARY
from results.spec import sha256
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from benchmark.datasets import PreparedDataset
    from reports.analysis import Analysis
    from reports.comparison import Comparison, Entry
    from reports.sides import Side
    from reports.subject import Subject

Rule = Literal["best-median-worst", "seeded"]


@dataclass(frozen=True)
class Tested:
    """An image in the fold that tested it.

    Attributes:
        id: Its id in the dataset.
        patient: Its patient, or what its group is.
        fold: Number of the fold.
        fold_hash: Hash of the fold.
        lesion: Whether its truth holds any foreground.
    """

    id: str
    patient: str
    fold: int
    fold_hash: str
    lesion: bool


@dataclass(frozen=True)
class Chosen:
    """An image that is shown.

    Attributes:
        image: The image.
        word: Its place in the rule, such as `best`; empty where it was drawn at random.
        dice: Its mean Dice over all networks and seeds, a fraction.
    """

    image: Tested
    word: str
    dice: float


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images and truth at the size at which a comparison is scored.

    Attributes:
        dataset: The prepared dataset, the same as that of the runs.
        size: Side of the square that slices are stretched to; None for their own size.
    """

    dataset: PreparedDataset
    size: int | None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {case.id: place for place, case in enumerate(self.dataset.cases)}

    def pair(self, image: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Grey values and class labels (255 = ignored) of an image by its id, (H, W) each."""
        place = self._positions[image]
        if self.size is None:
            return self.dataset.image(place), self.dataset.mask(place)
        return self.dataset.stretched(place, self.size)


def open_pixels(subject: Subject) -> Pixels | str:
    """Open the dataset of a comparison.

    Returns:
        Its images; or a sentence on why there are none: the dataset isn't prepared here, or holds
        other data than the runs were scored on.
    """
    from benchmark.datasets import open_dataset

    spec, protocol = subject.comparison.spec, subject.comparison.protocol
    if protocol is None:
        return "The protocol is of another covbench version."
    try:
        dataset = open_dataset(spec.dataset, window=protocol.input.window)
    except CovbenchError as error:
        return f"{error.problem} {error.remedy}"
    if dataset.manifest_hash != spec.data_hash:
        return (
            f"{spec.dataset} here holds other data ({dataset.manifest_hash[:8]}) than the runs "
            f"were scored on ({spec.data_hash[:8]})."
        )
    size = protocol.score.size
    return Pixels(dataset, None if isinstance(size, str) else size)


def tested_images(analysis: Analysis) -> tuple[Tested, ...]:
    """The images behind the columns of `Analysis.scores`, in their order.

    An image that several folds test is there once for each.
    """
    if not analysis.sides:
        return ()
    side = analysis.sides[0]
    by_run = {str(run): lines for run, lines in side.frame.groupby("run", sort=False)}
    numbers = {record.spec.fold_hash: record.spec.fold for record in side.records}
    found = []
    for fold_hash in dict.fromkeys(fold for fold, _ in side.runs):
        lines = by_run[side.runs[fold_hash, side.seeds[0]]]
        columns = (lines["id"], lines["group"], lines["tp"] + lines["fn"] > 0)
        found += [
            Tested(str(name), str(group), numbers[fold_hash], fold_hash, bool(lesion))
            for name, group, lesion in zip(*columns, strict=True)
        ]
    return tuple(found)


def image_dice(analysis: Analysis) -> npt.NDArray[np.float64]:
    """Dice of each image, a fraction, (rows, images): the mean over the seeds that define it."""
    return _mean(analysis.scores(METRICS[PRIMARY]).values, axis=1)


def over_networks(dice: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each image over the networks in which it is defined, (images,)."""
    return _mean(dice, axis=0)


def _mean(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """The mean of what is defined; nan where nothing is."""
    import numpy as np

    defined = ~np.isnan(values)
    totals = np.where(defined, values, 0.0).sum(axis=axis)
    counts = defined.sum(axis=axis)
    return np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)


def mean_dice(comparison: Comparison, entry: Entry) -> float | None:
    """Dice of a row as in its leaderboard, a fraction: the mean over its runs."""
    scores = [record.scores.get(comparison.targets[0], {}).get(PRIMARY) for record in entry.records]
    values = [score.value for score in scores if score and score.value is not None]
    return sum(values) / len(values) if values else None


def best_first(comparison: Comparison) -> list[Entry]:
    """The rows that have finished runs, in the order of the leaderboard."""
    done = [entry for entry in comparison.entries if entry.records]

    def place(entry: Entry) -> tuple[float, str]:
        dice = mean_dice(comparison, entry)
        return (1.0 if dice is None else -dice), entry.label

    return sorted(done, key=place)


def best_sides(analysis: Analysis) -> list[Side]:
    """The rows that have every run, in the order of the leaderboard."""
    sides = {side.label: side for side in analysis.sides}
    order = [entry.label for entry in best_first(analysis.place.comparison)]
    return [sides[label] for label in order if label in sides]


def choose_images(
    analysis: Analysis, rule: Rule = "best-median-worst", count: int = 3, seed: int = 0
) -> list[Chosen]:
    """Choose images to show, by a rule that nobody's taste enters.

    Only images whose truth holds foreground and whose Dice is defined are eligible: in the others
    there is nothing to find.

    Args:
        analysis: The rows with every run.
        rule: `best-median-worst`: by mean Dice over all networks and seeds, the best, the worst,
            and those that divide the ranks between them evenly; a single image is the median.
            `seeded`: in the order of SHA-256 of the seed and the image's id.
        count: How many images at most.
        seed: Seed of the random choice.

    Returns:
        The images, from best to worst, or in their random order.

    Raises:
        CovbenchError: There is no such rule, or the count is below 1.
    """
    if rule not in get_args(Rule):
        raise unknown("rule", rule, get_args(Rule), ", ".join(get_args(Rule)))
    if count < 1:
        raise CovbenchError(f"{count} images can't be shown.", "Choose one or more.")
    images = tested_images(analysis)
    if not images:
        return []
    means = over_networks(image_dice(analysis))
    eligible = [
        Chosen(image, "", float(mean))
        for image, mean in zip(images, means, strict=True)
        if image.lesion and mean == mean
    ]
    if rule == "seeded":
        return sorted(eligible, key=lambda each: sha256(f"{seed}/{_key(each)}"))[:count]
    ranked = sorted(eligible, key=lambda each: (-each.dice, _key(each)))
    ranks = _even(len(ranked), count)
    words = {(len(ranked) - 1) // 2: "median", len(ranked) - 1: "worst", 0: "best"}
    return [
        Chosen(ranked[rank].image, words.get(rank, f"rank {rank + 1}"), ranked[rank].dice)
        for rank in ranks
    ]


def _key(chosen: Chosen) -> str:
    return f"{chosen.image.id}/{chosen.image.fold}"


def _even(total: int, count: int) -> Sequence[int]:
    """`count` ranks from 0 to the last, evenly spread; the lower one where it falls between two."""
    if count >= total:
        return range(total)
    if count == 1:
        return [(total - 1) // 2]
    return [place * (total - 1) // (count - 1) for place in range(count)]


def foreground(truth: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where a truth is neither background nor ignored."""
    import numpy as np

    return np.asarray((truth != 0) & (truth != IGNORE))
