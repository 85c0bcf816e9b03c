"""`covbench trace`: from a number in a table to the runs and images behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options
from zoo.errors import one_line

if TYPE_CHECKING:
    from reports.tracing.retrace import Behind, Evidence


def trace(
    table: Annotated[
        str,
        typer.Argument(
            help="A written table: report/leaderboard.md, .tex or .csv; FILE#NAME where it holds "
            "several; or a table's name.",
            show_default=False,
        ),
    ],
    row: Annotated[str, typer.Argument(help="Label of the row: miniseg.", show_default=False)],
    column: Annotated[
        str,
        typer.Argument(help="Key or title of the column: dice_slice, Dice.", show_default=False),
    ],
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="The store; by default where they were when the table was written.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(min=0, help="So many images with the lowest and highest scores.")
    ] = 3,
    all_: Annotated[bool, typer.Option("--all", help="List every image.")] = False,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Say what stands behind a number of a table, and make it once more from the runs."""
    from reports.tracing.lookup import find_cell
    from reports.tracing.retrace import retrace
    from results.shared import opened

    folders = [Path("report"), Path(), from_ or Path("runs")]
    cell = find_cell(table, row, column, store=from_, folders=folders)
    with opened(cell.store) as root:
        evidence = renamed(retrace(replace(cell, store=root)), root, cell.store)
    listed = _listed(evidence, None if all_ else images)
    if as_json:
        options.print_json([_object(evidence, listed)])
    else:
        _print(evidence, listed)
    if (error := evidence.disagreement) is not None:
        raise error
    return 0


def renamed(evidence: Evidence, root: Path, store: Path) -> Evidence:
    """The evidence with paths as the user calls the store, not below its temporary copy."""
    if root == store:
        return evidence

    def told(text: str) -> str:
        return text.replace(str(root), str(store))

    runs = [
        replace(
            run,
            folder=store / run.folder.relative_to(root),
            reasons={level: told(reason) for level, reason in run.reasons.items()},
            differs=told(run.differs),
        )
        for run in evidence.runs
    ]
    checks = [replace(check, told=told(check.told)) for check in evidence.checks]
    return replace(evidence, runs=tuple(runs), checks=tuple(checks))


Image = tuple[float, str, str, "Behind"]
"""Score, image, patient, run."""


def _listed(evidence: Evidence, most: int | None) -> list[Image]:
    """The images by score, undefined ones last; only the ends where there are more than asked."""
    found: list[Image] = [
        (score, image, group, run) for run in evidence.runs for image, group, score in run.images
    ]
    found.sort(key=lambda each: (math.isnan(each[0]), each[0], each[1]))
    if most is None or len(found) <= 2 * most:
        return found
    defined = [each for each in found if not math.isnan(each[0])]
    return [*defined[:most], *defined[max(len(defined) - most, most) :]]


def _print(evidence: Evidence, listed: list[Image]) -> None:
    from runners.cli.tables import print_fields, print_table

    cell, scale = evidence.cell, evidence.cell.scale
    unit = f" {cell.unit}" if cell.unit else ""
    print_fields(
        [
            (str(cell), f"{cell.shown}{unit}; unrounded {cell.value!r}"),
            ("table", f"{cell.title} ({cell.table}, {cell.sidecar})"),
            *_facts(evidence).items(),
        ]
    )
    print()
    print_table(
        ("run", "fold", "seed", "value", "images", "finished", "folder"),
        [
            (
                run.record.spec.id[:12],
                run.record.spec.fold,
                run.record.spec.seed,
                _number(run.values["records"], scale),
                run.record.data.n_test,
                run.record.finished,
                run.folder,
            )
            for run in evidence.runs
        ],
        right=("fold", "seed", "value", "images"),
    )
    if listed:
        print()
        print_table(
            ("image", "patient", "fold", "seed", "score"),
            [
                (image, group, run.record.spec.fold, run.record.spec.seed, _number(score, scale))
                for score, image, group, run in listed
            ],
            right=("fold", "seed", "score"),
        )
        total = sum(len(run.rows) for run in evidence.runs)
        if len(listed) < total:
            print(f"The lowest and highest of {total} images; --all lists them all.")
    print()
    print_fields((f"from {check.level}", check.told) for check in evidence.checks)
    for sentence in cell.edited:
        print(one_line(sentence))


def _number(value: float | None, scale: float) -> str:
    """A score as a table shows it, with two more digits."""
    if value is None or math.isnan(value):
        return "–"
    return str(value) if isinstance(value, int) else f"{value * scale:.4f}"


def _facts(evidence: Evidence) -> dict[str, str]:
    """Code, machine, data and protocol of the runs; values that differ stand beside each other."""
    from reports.comparison import Comparison
    from reports.tracing.trace import TRACED

    cell, records = evidence.cell, [run.record for run in evidence.runs]
    spec = records[0].spec
    comparison = Comparison(spec, ())
    count = "one run" if len(records) == 1 else f"{len(records)} runs"
    if cell.how == "cost":
        made = f"a cost of the network, the same in every record ({count})"
    else:
        metric = TRACED[cell.metric]
        over = _OVER[metric.aggregation]
        made = f"mean over {count} of {metric.key}: {metric.definition}, {over}"
    known = comparison.protocol is not None
    changes = ", ".join(comparison.changes) or "unchanged" if known else "of another version"
    score = spec.settings.get("score", {})
    return {
        "made as": made,
        "protocol": f"{spec.protocol} ({changes}); "
        + ", ".join(f"score.{name} {value}" for name, value in score.items()),
        "data": f"{spec.dataset}, {spec.data_hash}",
        "code": _each(
            f"covbench {code.version}, commit {code.git_commit or 'unknown'}"
            + (" with uncommitted changes" if code.git_dirty else "")
            for code in (record.code for record in records)
        ),
        "network": _each(
            f"{record.code.network_class}, source {record.spec.source[:12]}" for record in records
        ),
        "machine": _each(
            f"{env.cpu if env.device == 'cpu' else env.device}, threads {env.threads}, "
            f"Python {env.python}, {env.platform}"
            for env in (record.env for record in records)
        ),
        "packages": _each(
            ", ".join(f"{name} {version}" for name, version in record.env.packages.items())
            for record in records
        ),
        "run": f"{min(record.started for record in records)} to "
        f"{max(record.finished for record in records)}",
    }


_OVER = {
    "pooled": "the pixels of all test images together",
    "slice": "mean over images",
    "patient": "mean over a patient's images, then over patients",
}


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _object(evidence: Evidence, listed: list[Image]) -> dict[str, Any]:
    """Everything as one object."""
    cell = evidence.cell
    return {
        "table": cell.table,
        "sidecar": str(cell.sidecar),
        "row": cell.row,
        "column": cell.column,
        "value": cell.value,
        "shown": cell.shown,
        "unit": cell.unit,
        "how": cell.how,
        **_facts(evidence),
        "store": str(cell.store),
        "runs": [
            {
                "id": run.record.spec.id,
                "folder": str(run.folder),
                "fold": run.record.spec.fold,
                "seed": run.record.spec.seed,
                "started": run.record.started,
                "finished": run.record.finished,
                "images": run.record.data.n_test,
                "code": run.record.code.model_dump(mode="json"),
                "env": run.record.env.model_dump(mode="json"),
                "values": run.values,
                "rounded_pixels": run.rounded.pixels if run.rounded else None,
                "differs": run.differs or None,
            }
            for run in evidence.runs
        ],
        "images": [
            {
                "id": image,
                "group": group,
                "run": run.record.spec.id,
                "score": None if math.isnan(score) else score,
            }
            for score, image, group, run in listed
        ],
        "checks": [
            {"from": each.level, "value": each.value, "agrees": each.agrees, "told": each.told}
            for each in evidence.checks
        ],
        "csv_value": cell.csv_value,
        "edited": list(cell.edited),
    }
