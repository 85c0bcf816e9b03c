"""A store as it grows: a grid of networks by folds and seeds, time left, failures with reasons."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runners.display import duration
from runners.survey import Entry, survey

UNFINISHED = ("running", "interrupted", "missing", "damaged")

_TITLE = re.compile(r"(?P<row>.+) · (?P<data>.+) fold (?P<fold>\d{1,9}) seed (?P<seed>\d{1,18})")
_STYLES = {"done": "green", "running": "cyan", "failed": "red", "cancelled": "yellow"}


def watch(root: Path, console: Console, every: float = 2.0) -> None:
    """Show a store until nothing in it is left to do, or Ctrl-C.

    In a terminal a grid is drawn anew; elsewhere each change is a line.

    Args:
        root: The store.
        console: Where to.
        every: Seconds between two looks.
    """
    if not console.is_terminal:
        _lines(root, lambda text: console.print(text, markup=False, soft_wrap=True), every)
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            entries = survey(root)
            live.update(grid(entries), refresh=True)
            if not unfinished(entries):
                return
            time.sleep(every)


def unfinished(entries: Sequence[Entry]) -> int:
    """How many runs are still to end."""
    return sum(entry.state in UNFINISHED for entry in entries)


def grid(entries: Sequence[Entry]) -> Group:
    """The grid of each dataset, what failed and why, and the sum.

    Args:
        entries: The runs of a store.
    """
    datasets: dict[str, dict[str, dict[tuple[int, int], Entry]]] = {}
    others = []
    for entry in entries:
        found = _TITLE.fullmatch(entry.title)
        if found is None:
            others.append(entry)
            continue
        place = (int(found["fold"]), int(found["seed"]))
        datasets.setdefault(found["data"], {}).setdefault(found["row"], {})[place] = entry
    parts: list[Table | Text] = [_table(name, rows) for name, rows in datasets.items()]
    parts += [Text(f"{entry.title}: {entry.state} {entry.detail}") for entry in others]
    for entry in entries:
        if entry.state in ("failed", "damaged"):
            parts.append(Text(f"{entry.title}: {entry.detail}", "red"))
    return Group(*parts, Text(total(entries)))


def total(entries: Sequence[Entry]) -> str:
    """How many runs are in which state, and about how long the rest takes."""
    states = [entry.state for entry in entries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    left = seconds_left(entries)
    if left is None:
        return counts or "No runs yet."
    at_a_time = max(1, states.count("running"))
    return f"{counts}; about {duration(left / at_a_time)} left, {at_a_time} at a time."


def seconds_left(entries: Sequence[Entry]) -> float | None:
    """Seconds that the runs that are left take one after the other; None where nothing is known.

    A run takes as long as the mean of its network's runs that are done, or else of all.
    """
    took: dict[str, list[float]] = {}
    for entry in entries:
        if entry.seconds is not None:
            took.setdefault(_row(entry), []).append(entry.seconds)
    everything = [seconds for each in took.values() for seconds in each]
    if not everything or not unfinished(entries):
        return None
    left = 0.0
    for entry in entries:
        if entry.state in UNFINISHED:
            known = took.get(_row(entry), everything)
            left += sum(known) / len(known) * (1 - _share(entry))
    return left


def _share(entry: Entry) -> float:
    """How much of a run is done, by its steps."""
    found = re.search(r"step (\d{1,18}) of (\d{1,18})", entry.detail)
    return int(found[1]) / int(found[2]) if found and int(found[2]) else 0.0


def _row(entry: Entry) -> str:
    return entry.title.partition(" · ")[0]


def _table(name: str, rows: dict[str, dict[tuple[int, int], Entry]]) -> Table:
    places = sorted({place for row in rows.values() for place in row})
    table = Table(title=name, title_justify="left")
    table.add_column("network")
    for fold, seed in places:
        table.add_column(f"fold {fold}\nseed {seed}")
    for row, found in rows.items():
        table.add_row(row, *(_cell(found.get(place)) for place in places))
    return table


def _cell(entry: Entry | None) -> Text:
    """A run in a few letters: its Dice, its epoch and loss, or its state."""
    if entry is None:
        return Text("")
    text = entry.state
    if entry.state == "done":
        text = entry.detail.removeprefix("Dice ")
    elif entry.state == "failed":
        text = entry.detail.partition(":")[0]
    elif epoch := re.search(r"epoch (\d+) of (\d+)", entry.detail):
        loss = re.search(r"loss ([\d.naif]+)", entry.detail)
        text = f"{epoch[1]}/{epoch[2]}" + (f" {loss[1]}" if loss else "")
        text += "" if entry.state == "running" else f" {entry.state}"
    return Text(text, _STYLES.get(entry.state, ""))


def _lines(root: Path, say: Callable[[str], None], every: float) -> None:
    """A line for each run whose state changes, and the sum after them."""
    shown: dict[str, str] = {}
    while True:
        entries = survey(root)
        changed = [entry for entry in entries if shown.get(entry.path) != entry.state]
        for entry in changed:
            shown[entry.path] = entry.state
            say(f"{entry.state}  {entry.title}  {entry.detail}".rstrip())
        if changed or not entries:
            say(total(entries))
        if not unfinished(entries):
            return
        time.sleep(every)
