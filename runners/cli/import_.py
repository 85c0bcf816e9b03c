"""`covbench import`: what others exported, checked, into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli import options

if TYPE_CHECKING:
    from results.unpack import Imported


def import_(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="What `covbench export` wrote.")],
    to: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, say what would come in, write nothing.")
    ] = False,
    limit: options.Limit = None,
) -> int:
    """Check an archive and bring its runs into a store; what is there already is kept."""
    from results.unpack import unpack

    found = unpack(archive, to, dry_run)
    for line in _lines(found, to, dry_run):
        print(line)
    return 0


def _lines(found: Imported, to: Path, dry_run: bool) -> list[str]:
    """What came in, or would, and what that is worth."""
    from runners.cli.export import describe, plural

    specs = [record.spec for record in found.records]
    written = found.manifest.covbench
    lines = [
        f"{describe(specs)}, {plural(found.images, 'image')} scored; written by covbench {written}."
    ]
    counted = [
        f"{len(found.new)} new",
        f"{len(found.there)} already there",
        f"{len(found.busy)} left to the process that is at it",
        plural(found.completed, "file") + " added to runs that were there",
        plural(found.failures, "account") + " of failed attempts",
        plural(found.sources, "file") + " of source code, which is never run",
    ]
    shown = [part for part in counted if not part.startswith("0 ")] or ["nothing new"]
    lines.append(f"{'Would come into' if dry_run else 'Into'} {to}: {', '.join(shown)}.")
    lines += [
        f"Other scores than here: {spec.title} (those that were here are kept)."
        for spec in found.differing
    ]
    if found.manifest.hidden_cases:
        lines.append("Images and patients have other names: they pair within this archive alone.")
    lines.append("Its hashes show damage, not honesty: whoever made it may have written anything.")
    return lines
