"""The data of the runs in the form of CHS-Net's Table 1."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.datasets import open_dataset
from reports.comparison import Comparison
from reports.tables.layout import Layout
from reports.tables.table import Cell, Column, Row, Table
from results.published import PublishedTable
from zoo.errors import CovbenchError


def dataset_tables(
    layout: Layout, published: PublishedTable, comparisons: Sequence[Comparison]
) -> list[Table]:
    """How many volumes, slices and masks each dataset of a store has.

    Args:
        layout: Title and label.
        published: The paper's table, for its source.
        comparisons: The runs, which name the data.

    Returns:
        One table with a row for each dataset; data that aren't here say so.
    """
    datasets = {each.spec.data_hash: each.spec.dataset for each in comparisons}
    columns = (
        Column("groups", "Volumes", style="count"),
        Column("dimension", "Dimension", style="text"),
        Column("slices", "Slices", style="count"),
        Column("lung_masks", "Lung masks", style="count"),
        Column("infection_masks", "Infection masks", style="count"),
    )
    rows = [_row(name, data_hash) for data_hash, name in datasets.items()]
    return [
        Table(
            name=layout.name,
            title=f"{layout.title}: data",
            columns=columns,
            rows=tuple(rows),
            caption=(
                "Volumes are groups of slices: scans or patients as far as the data tell. A mask "
                "counts where it is not empty."
            ),
            context={"layout": layout.name, "published": published.name},
            label=layout.label,
        )
    ]


def _row(name: str, data_hash: str) -> Row:
    missing = Row(name, tuple(Cell() for _ in range(5)), status="not here")
    try:
        data = open_dataset(name)
    except CovbenchError:
        return missing
    if data_hash not in (data.manifest_hash, data.has_lungs and data.hash_for("lung")):
        return missing
    lungs = sum(bool(data.lung(i).any()) for i in range(len(data))) if data.has_lungs else None
    sizes = sorted({(case.height, case.width) for case in data.cases})
    shown = [f"{height}×{width}" for height, width in sizes[:2]]
    return Row(
        name,
        (
            Cell(len({case.group for case in data.cases})),
            Cell(" or ".join(shown) if len(sizes) < 3 else f"{shown[0]} and {len(sizes) - 1} more"),
            Cell(len(data)),
            Cell(lungs),
            Cell(sum(count > 0 for count in data.foreground)),
        ),
    )
