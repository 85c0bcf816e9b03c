"""What small multiples and their captions share: names in lines, grids of panels, the runs."""

from __future__ import annotations

import re

from reports.boards.caption import title
from reports.comparison import Comparison, Entry
from reports.sides import named


def scope(comparison: Comparison) -> str:
    """Dataset and protocol, folds and seeds: `phantom, protocol smoke; folds 1–3, seeds 0, 1`."""
    wanted = comparison.wanted
    folds = sorted({fold for fold, _, _ in wanted})
    seeds = sorted({seed for _, _, seed in wanted})
    runs = f"{named('fold', folds)}, {named('seed', seeds)}"
    return f"{title(comparison, comparison.targets[0])}; {runs}"


def run_count(comparison: Comparison, entry: Entry) -> str:
    """How many of its runs a row has, where it lacks some: ` (4 of 6 runs)`."""
    whole, own = len(comparison.wanted), len(entry.records)
    return "" if own == whole else f" ({own} of {whole} runs)"


def broken(name: str, width: int, most: int = 2) -> str:
    """A name in lines of at most `width` characters, broken after its own punctuation if possible.

    Where that takes more than `most` lines it is broken anywhere; what doesn't fit then is cut,
    which an ellipsis shows.
    """
    lines = [""]
    for part in re.findall(r"[^\s:/_\-\[,.+]*[\s:/_\-\[,.+]*", name):
        while len(lines[-1]) + len(part.rstrip()) > width:
            room = width if not lines[-1] else 0
            if room:
                lines[-1], part = part[:room], part[room:]
            lines.append("")
        lines[-1] += part
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) > most:
        shown = name if len(name) <= most * width else name[: most * width - 1] + "…"
        lines = [shown[start : start + width] for start in range(0, len(shown), width)]
    return "\n".join(lines)


def page_grid(panels: int) -> tuple[int, int]:
    """Rows and columns of small multiples on the width of a page."""
    columns = min(panels, 5 if panels <= 15 else 6)
    return -(-panels // columns), columns
