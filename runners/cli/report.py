"""`covbench report`: the tables and figures of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options


def report(
    from_: options.From = Path("runs"),
    to: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("report"),
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Print a published table beside, with verdicts: miniseg-table3, chsnet-table3."
        ),
    ] = None,
    layout: Annotated[
        list[str] | None,
        typer.Option(help="A paper's own form: miniseg-table3, chsnet-table3; or your own .toml."),
    ] = None,
    spread: options.Spread = "runs",
    metric: options.Ranked = "dice",
    baseline: Annotated[
        str | None,
        typer.Option(help="The row that the others are tested against; the best by default."),
    ] = None,
    machine: options.Machine = None,
    formats: Annotated[
        str | None,
        typer.Option("--formats", help="Only these: md,tex,csv,html,json,png,pdf,svg."),
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(
            help="Only these, or none: accuracy, ranks, critical-difference, distributions, "
            "curves, heatmap, predictions, confusion; a paper's own: miniseg-fig3, chsnet-fig8, "
            "chsnet-fig12, chsnet-fig13, chsnet-fig14."
        ),
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="One page for a browser, too: report.html.")
    ] = False,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether that page shows test images.")
    ] = True,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse (exit code 3) where rows are unequal or a number can't be.",
        ),
    ] = False,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Write the tables of a store in every format, and its figures, from the records alone."""
    from reports.boards.rows import spread_named
    from reports.figures.catalogue import FIGURES
    from reports.report import DEFAULT_FORMATS, Wish, write_report
    from reports.sides import metric_named
    from results.machines import find_profile
    from results.shared import opened

    wish = Wish(
        against=tuple(options.split_commas(against or [])),
        layouts=tuple(options.split_commas(layout or [])),
        spread=spread_named(spread),
        machine=find_profile(machine) if machine else None,
        metric=metric_named(metric),
        baseline=baseline,
        formats=tuple(options.split_commas([formats])) if formats else DEFAULT_FORMATS,
        figures=tuple(each for each in options.split_commas([figures]) if each != "none")
        if figures
        else tuple(FIGURES),
        page=html,
        images=images,
        strict=strict,
    )
    options.check_writable(to)
    with opened(from_) as root:
        written = write_report(root, to, wish, store=from_)
    if as_json:
        options.print_json(
            {"table": table.title, **row} for table in written.tables for row in table.to_objects()
        )
    else:
        options.print_tables(written.tables)
    own = [path.stem for path in written.paths if path.parent == to]
    names = ", ".join(dict.fromkeys(name for name in own if not name.endswith(".trace")))
    inside = sum(path.parent != to for path in written.paths)
    more = f"; {inside} files in {to / 'figures'}" if inside else ""
    options.messages().print(f"Written into {to}: {names}{more}", highlight=False, soft_wrap=True)
    return 0
