"""Whole cascades: lungs from networks that never saw the slice, what is recorded, what fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import open_dataset
from benchmark.datasets.inside import INSIDE
from benchmark.protocols import load_protocol
from results.predictions import read_predictions
from results.record import RunRecord
from results.store import Store, load_records
from runners.cli import run_cli
from runners.stages import fold_of

SMOKE = ["--protocol", "smoke", "--set", "max_steps=3", "--jobs", "2"]


def run(*arguments: object) -> int:
    return run_cli(["run", *(str(argument) for argument in arguments), *SMOKE])


def by_task(out: Path) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for record in load_records(out):
        found.setdefault(record.spec.task, []).append(record)
    return found


@pytest.mark.usefixtures("data_root")
def test_a_cascade_from_its_parts_to_its_table(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    assert run("--models", f"{pair},!*01", "--task", "hierarchical", "--out", out) == 0
    found = by_task(out)
    (record,) = found["hierarchical"]
    lungs = {each.spec.id: each for each in found["lung"]}
    assert set(record.spec.needs) == set(lungs)

    # Every slice of the fold has lungs, from a network that was not trained on it.
    dataset = open_dataset("phantom")
    protocol = load_protocol("smoke", ["max_steps=3"])
    fold = fold_of(dataset, protocol, record.spec)
    seen: dict[str, np.ndarray] = {}
    for lung in lungs.values():
        own = read_predictions(out, lung)
        part = fold_of(dataset, protocol, lung.spec)
        trained = {dataset.cases[i].id for i in part.train}
        assert not trained & own.keys()
        assert not seen.keys() & own.keys()
        seen |= own
    assert seen.keys() == {dataset.cases[i].id for i in (*fold.train, *fold.test)}

    # The share of infection inside the lungs, by hand.
    inside = total = 0
    for i in fold.test:
        truth = dataset.mask(i) == 1
        total += int(truth.sum())
        inside += int((truth & (seen[dataset.cases[i].id] >= INSIDE)).sum())
    score = record.scores["infection"]["inside_lung_pooled"]
    assert score.value == pytest.approx(inside / total)
    first = next(each for each in lungs.values() if each.spec.inner is None)
    assert first.scores.keys() == {"lung"}
    assert record.cost.params == 2 * first.cost.params
    assert record.cost.headline == 2 * (first.cost.headline or 0)

    # Direct and hierarchical rows stand in one table; the parts stand in none.
    assert run("--models", f"{pair},!*01", "--out", out) == 0
    shown = capsys.readouterr().out
    infection, lung = shown.split("## ")[-2:]
    assert "(hierarchical)" in infection and "In lungs (%)" in infection
    assert lung.startswith("phantom, protocol smoke") and ", lung" in lung.splitlines()[0]
    assert "± " not in lung.split("\n\n")[1], "parts of a fold would be runs of their own"

    # A second row with the same lungs adds one run alone.
    assert run(
        "--models", f"{pair},!*01", "--task", "hierarchical", "--lung-mask", "channel", "--out", out
    ) == 0  # fmt: skip
    assert "1 to do" in capsys.readouterr().err
    assert len(load_records(out)) == 7


@pytest.mark.usefixtures("data_root")
def test_a_cascade_fails_with_the_name_of_the_run_that_it_needs(
    misbehaving: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    chosen = ["--models", f"{misbehaving},!exits,!is-killed,!overflows,!unbounded,!raises"]
    lung = ["--task", "hierarchical", "--lung-model", "raises"]
    assert run(*chosen, *lung, "--out", out) == 2
    failures = [f for f in Store(out).all_failures() if f.spec.task == "hierarchical"]
    (failure,) = failures
    assert failure.status == "needs runs"
    assert "raises (lung) · phantom fold 1" in failure.exception
    assert failure.exception.endswith("which it needs, failed.")


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize(
    "options",
    [
        ["--lungs", "truth"],
        ["--lung-mask", "soft"],
        ["--set", "score.size=48"],  # lungs are kept at that size, and the images have another
    ],
)
def test_other_cascades(pair: Path, tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "runs"
    asked = ["--models", f"{pair},!*01", "--task", "hierarchical", *options, "--inner-folds", "2"]
    assert run(*asked, "--out", out) == 0
    (record,) = by_task(out)["hierarchical"]
    share = record.scores["infection"]["inside_lung_pooled"].value
    assert share is not None
    if options[1] == "truth":
        assert share > 0.99  # the phantom's lesions lie in its lungs
        assert record.spec.needs == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "lungs"], ("task", "lung")),
        (["--task", "hierarchical", "--lungs", "guessed"], ("--lungs guessed", "truth")),
        (["--task", "hierarchical", "--lung-mask", "hrad"], ("--lung-mask hrad", "hard")),
        (["--task", "hierarchical", "--dilation", "-1"], ("--dilation -1", "greater")),
        (["--task", "hierarchical", "--lung-model", "@demo"], ("--lung-model @demo", "same")),
    ],
)
@pytest.mark.usefixtures("data_root")
def test_mistakes_are_two_lines(
    options: list[str],
    words: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--models", "miniseg", "--out", tmp_path / "runs", *options) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert words[0] in lines[0] and words[1] in " ".join(lines)


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize("mask", ["hard", "channel"])
def test_a_cascade_predicts_an_image_as_it_did_in_its_test_fold(
    pair: Path, tmp_path: Path, mask: str
) -> None:
    out = tmp_path / "runs"
    asked = ["--models", f"{pair},!*01", "--task", "hierarchical", "--lung-mask", mask]
    assert run(*asked, "--inner-folds", "2", "--set", "keep=both", "--out", out) == 0
    (record,) = by_task(out)["hierarchical"]
    stored = read_predictions(out, record)
    dataset = open_dataset("phantom")
    names = [case.id for case in dataset.cases]
    images = tmp_path / "images"
    images.mkdir()
    for name in stored:
        Image.fromarray(dataset.image(names.index(name)).copy()).save(images / f"{name}.png")
    to = tmp_path / "masks"
    arguments = ["--run", record.spec.id, "--from", out, "--input", images, "--out", to]
    assert run_cli(["predict", *map(str, arguments), "--overlays", "none"]) == 0
    for name, probability in stored.items():
        found = np.asarray(Image.open(to / f"{name}_mask.png")) > 0
        clear = probability != INSIDE  # which alone may be either
        assert (found[clear] == (probability > INSIDE)[clear]).all()
