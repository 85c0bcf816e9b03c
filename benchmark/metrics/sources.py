"""Scores by the source of the images, where a dataset is joined of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.metrics.aggregate import Score, aggregate
from benchmark.protocols.sections import ScoreRule


def aggregate_sources(
    rows: Sequence[Mapping[str, Any]], rule: ScoreRule
) -> dict[str, dict[str, Score]]:
    """The scores of a run on the test images of each source by itself.

    Args:
        rows: Lines of a run's `cases.csv`, with their groups.
        rule: The `score` section that they were scored under.

    Returns:
        Scores as `aggregate` gives them, by source, sources by name; empty where the rows name no
        sources, since the dataset has but one.
    """
    sources = sorted({str(row["source"]) for row in rows if "source" in row})
    own = {name: [row for row in rows if row.get("source") == name] for name in sources}
    return {
        name: aggregate(lines, [str(line["group"]) for line in lines], rule)
        for name, lines in own.items()
    }
