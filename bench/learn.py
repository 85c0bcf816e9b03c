"""`make learn`: does every network learn? Trained on the phantom, scored on new patients.

Records land in `results/learning/` and are committed; a network is trained again only where its
source changed. Who does not beat the best trivial predictor is trained for longer, and who still
doesn't is named with the curve of its training.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Literal

from benchmark.datasets import open_dataset
from benchmark.protocols import load_protocol
from benchmark.trivial import trivial_rows
from results.record import RunRecord
from results.store import load_records
from zoo.picture import BARS
from zoo.registry import cards, missing_packages
from zoo.source import source_hash

STORE = Path("results/learning")
Size = Literal["small", "large", "huge"]
STEPS: dict[Size, tuple[int, int]] = {"small": (240, 1200), "large": (120, 240), "huge": (60, 120)}
"""Steps of the first training and of the longer one."""

LARGE = 100_000_000_000
"""Multiply-adds at 512x512 from which a network is large."""

HUGE = ("nnunet", "nnunet-residual", "vm-unet")
"""They take seconds a step: nnU-Net pads slices to 256x256, VM-UNet scans in plain PyTorch."""

SETTINGS = ("class_weights=miniseg", "keep=none")
METRIC = "dice_slice"


def main() -> int:
    """Train what is missing, then write the page; returns 1 where a run failed."""
    train([name for name in names() if name not in best_records()], 0)
    best = best_records()
    train([name for name in best if not learned(best[name])], 1)
    best = best_records()
    (STORE / "README.md").write_text(page(best), encoding="utf-8")
    return int(any(name not in best for name in names()))


def names() -> list[str]:
    """Every built-in network that can be trained by itself and whose packages are here."""
    return sorted(
        card.name
        for card in cards().values()
        if card.source == "built-in" and card.trainable and not missing_packages(card)
    )


def train(models: list[str], stage: int) -> None:
    """Run networks for the steps of the first (0) or the longer training (1)."""
    for size, steps in STEPS.items():
        chosen = [name for name in models if size_of(name) == size]
        if chosen:
            _run(chosen, steps[stage])


def size_of(name: str) -> Size:
    """How many steps a network gets."""
    if name in HUGE:
        return "huge"
    return "large" if (cards()[name].macs or 0) >= LARGE else "small"


def _run(models: list[str], steps: int) -> None:
    command = [sys.executable, "-c", "from runners.cli import main; main()", "run"]
    command += ["--models", ",".join(models)]
    command += ["--protocol", "smoke", "--out", str(STORE), "--yes"]
    for setting in (f"max_steps={steps}", *SETTINGS):
        command += ["--set", setting]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def best_records(*, current: bool = True) -> dict[str, RunRecord]:
    """The record with the highest Dice of each network.

    Args:
        current: Whether only records of the network's present source count.
    """
    known = cards()
    best: dict[str, RunRecord] = {}
    for record in load_records(STORE):
        name = record.spec.model
        if name not in known or (current and record.spec.source != source_hash(known[name])):
            continue
        if name not in best or dice(record) > dice(best[name]):
            best[name] = record
    return best


def dice(record: RunRecord) -> float:
    """The mean Dice over the slices of new patients."""
    return record.scores["infection"][METRIC].value or 0.0


def learned(record: RunRecord) -> bool:
    """Whether a network is better than the best trivial predictor on the same slices."""
    return dice(record) > best_trivial()


@cache
def best_trivial() -> float:
    """The best mean Dice that a trivial predictor reaches on the slices that all are scored on."""
    protocol = load_protocol("smoke", list(SETTINGS))
    dataset = open_dataset("phantom")
    scored = trivial_rows(dataset, dataset.folds(protocol.split)[0], protocol.score)
    return max(scores[METRIC].value or 0.0 for _, scores in scored.values())


def curve(record: RunRecord) -> str:
    """The loss of a training over its epochs, in at most twelve bars."""
    losses = record.training.curve if record.training else ()
    bars = min(12, len(losses))
    picked = [losses[round(i * (len(losses) - 1) / max(bars - 1, 1))] for i in range(bars)]
    top = max(picked, default=1.0)
    return "".join(BARS[-1 - min(int(8 * loss / top), 7)] for loss in picked)


def page(best: dict[str, RunRecord]) -> str:
    """The page beside the records."""
    lines = []
    for record in sorted(best.values(), key=dice, reverse=True):
        training = record.training
        assert training is not None
        cells = (
            f"`{record.spec.model}`",
            f"{100 * dice(record):.2f}",
            "yes" if learned(record) else "**no**",
            str(training.steps),
            curve(record),
            f"{training.curve[0]:.3f}",
            f"{training.curve[-1]:.3f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    weak = [record.spec.model for record in best.values() if not learned(record)]
    said = ", ".join(f"`{name}`" for name in sorted(weak)) or "none"
    huge = ", ".join(f"`{name}`" for name in HUGE)
    return PAGE.format(
        trivial=100 * best_trivial(),
        count=len(best),
        weak=said,
        lines="\n".join(lines),
        small_steps=STEPS["small"],
        large_steps=STEPS["large"],
        huge_steps=STEPS["huge"],
        large=LARGE // 10**9,
        huge=huge,
    )


PAGE = """# Every network learns

What `make learn` found: each built-in network trained on the phantom (fold 1, seed 0, the protocol
smoke with `class_weights=miniseg` and more steps) from random weights, and scored on the slices of
patients that it never saw. A network has {small_steps[0]} steps; one that does not beat the best
trivial predictor, a grey-value threshold with a mean Dice of {trivial:.2f} %, is trained again for
{small_steps[1]}. Above {large} GMACs it is {large_steps[0]} and {large_steps[1]} steps (some had
more at first), of {huge}, whose steps take seconds, {huge_steps[0]} and
{huge_steps[1]}.
The records are beside this page; a network is trained again only where its source changed. It says
that a network is wired well enough to learn, and ranks nothing.

{count} networks; below the threshold even so, in need of pretraining or more steps: {weak}.

| network | Dice (%) | beats the threshold | steps | loss over the epochs | first | last |
| --- | ---: | --- | ---: | --- | ---: | ---: |
{lines}
"""


if __name__ == "__main__":
    sys.exit(main())
