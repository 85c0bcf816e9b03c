"""What the patients' scores say of the rows of one comparison: intervals, ranks, tests, ties."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from benchmark.metrics import Metric
from benchmark.statistics import (
    Bootstrap,
    Friedman,
    Interval,
    PairTest,
    Resampled,
    Scores,
    Standing,
    bootstrap,
    friedman,
    pair_tests,
    pooled_bootstrap,
    standings,
    unit_scores,
)
from reports.chosen import Place
from reports.sides import Side, check_paired, scores_of
from reports.tables.table import Mark
from zoo.errors import CovbenchError

if TYPE_CHECKING:
    import numpy as np

COUNTS = ("tp", "fp", "fn", "tn")


@dataclass(frozen=True, eq=False)
class Analysis:
    """The rows of a comparison that can be set against each other, patient by patient.

    Every number is made once, with the same resamples for all rows and metrics.

    Attributes:
        place: The comparison and its per-image scores.
        sides: The rows that have every run that any row has, by label.
        skipped: Sentences on rows that are left out, and why.
    """

    place: Place
    sides: tuple[Side, ...]
    skipped: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """The labels of the rows."""
        return tuple(side.label for side in self.sides)

    @cache  # noqa: B019 - an analysis lives as long as its report
    def scores(self, metric: Metric) -> Scores:
        """The scores of images by a metric that single images have."""
        return scores_of(self.sides, metric)

    @cache  # noqa: B019
    def resampled(self, metric: Metric) -> Resampled | None:
        """Resampled scores by any metric; None where there are too few rows or patients."""
        if not self.sides:
            return None
        try:
            if metric.aggregation != "pooled":
                return self.bootstrap(metric)
            some = self.scores(_ANY)
            return pooled_bootstrap(
                self.rows,
                self._counts(),
                some.units,
                metric.measure,
                folds=some.folds,
                unit=some.unit,
            )
        except (ValueError, CovbenchError):  # a single patient, or no image with a score
            return None

    @cache  # noqa: B019
    def bootstrap(self, metric: Metric) -> Bootstrap:
        """Resampled means by a metric that single images have.

        Raises:
            ValueError: Fewer than two patients have a score in every row.
        """
        return bootstrap(self.scores(metric))

    def interval(self, row: str, metric: Metric) -> Interval | None:
        """The score of a row over all its images with its 95 % interval, or None.

        Patients in whom another row has no score are part of it: it is the mean that the row's own
        runs have.
        """
        resampled = self.resampled(metric) if row in self.rows else None
        if resampled is None:
            return None
        return self._alone(row, metric).mean(row) if resampled.left_out else resampled.mean(row)

    @cache  # noqa: B019
    def _alone(self, row: str, metric: Metric) -> Resampled:
        """A row resampled by itself."""
        return bootstrap(scores_of([self.sides[self.rows.index(row)]], metric))

    def standings(self, metric: Metric, baseline: str | None = None) -> tuple[Standing, ...]:
        """The rows from best to worst with rank, chance of being first and differences."""
        resampled = self.resampled(metric)
        return standings(resampled, baseline) if resampled else ()

    def friedman(self, metric: Metric) -> Friedman | None:
        """Friedman's test on patients; None for fewer than three rows or two patients."""
        if metric.aggregation == "pooled" or len(self.sides) < 3:
            return None
        scores = self.scores(metric)
        return friedman(scores) if len(unit_scores(scores).names) > 1 else None

    def tests(self, metric: Metric, baseline: str) -> tuple[PairTest, ...]:
        """Every other row against one, with Holm's correction; none where none is possible."""
        if metric.aggregation == "pooled" or len(self.sides) < 2 or not self.resampled(metric):
            return ()
        resampled = self.bootstrap(metric)
        return pair_tests(self.scores(metric), baseline=baseline, resampled=resampled)

    @cache  # noqa: B019
    def marks(self, metric: Metric, among: tuple[str, ...] | None = None) -> dict[str, Mark]:
        """Which rows are the best and the second best by a metric, ties by interval.

        The best shares its mark with every row whose difference to it has an interval that holds
        0: the data can't tell them apart. Of the others the best is second, and shares that mark
        likewise.

        Args:
            metric: Any metric.
            among: The rows that a table shows; all by default.
        """
        resampled = self.resampled(metric)
        if resampled is None:
            return {}
        rest = [each.row for each in standings(resampled) if among is None or each.row in among]
        if len(rest) < 2:
            return {}
        found: dict[str, Mark] = {}
        places: tuple[Mark, ...] = ("best", "second")
        for mark in places:
            if rest:
                leader = rest[0]
                tied = [
                    row
                    for row in rest
                    if row == leader or not resampled.difference(row, leader).excludes_zero
                ]
                found |= dict.fromkeys(tied, mark)
                rest = [row for row in rest if row not in tied]
        return found

    def _counts(self) -> np.ndarray:
        """The pixel counts of each image, (rows, seeds, images, 4), in the order of `scores`."""
        import numpy as np

        return np.stack([scores_of(self.sides, _count(name)).values for name in COUNTS], axis=-1)


def _count(column: str) -> Metric:
    """A column of pixel counts in the guise of a metric, so that it is read as one is."""
    return Metric(column, column, column, "px", True, "slice", column, "pixels", ())


_ANY = _count("tp")


def analyse(place: Place) -> Analysis:
    """Gather the rows of a comparison that have all of its runs.

    Args:
        place: A comparison, and the per-image scores of its store.

    Returns:
        The analysis; without rows where none can be set against another.
    """
    wanted = {(fold, seed) for _, fold, seed in place.comparison.wanted}
    folds, seeds = ({run[part] for run in wanted} for part in (0, 1))
    if len(wanted) < len(folds) * len(seeds):
        return Analysis(
            place,
            (),
            (f"{place}: not every fold has every seed, so that no row has an interval or a rank.",),
        )
    sides: list[Side] = []
    skipped = []
    for row in place.rows:
        side = place.side(row)
        assert side is not None, "the row has runs here"
        if side.runs.keys() != wanted:
            skipped.append(f"{side}, of {len(wanted)} runs: it has no interval and no rank.")
            continue
        try:
            check_paired(sides[0] if sides else side, side)
            scores_of([*sides[:1], side], _ANY)
        except CovbenchError as error:
            skipped.append(error.problem)
        else:
            sides.append(side)
    return Analysis(place, tuple(sides), tuple(skipped))
