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
from runners.drive import Outcome
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

    # The share inside the lungs is traced to its runs and made again from images.
    row, place = record.spec.row, str(out / "leaderboard.md")
    assert run_cli(["trace", place, row, "In lungs", "--from", str(out)]) == 0
    traced = capsys.readouterr().out
    assert "mean over one run of inside_lung_pooled" in traced
    assert traced.count("agrees with the table to the digit") == 2

    # Parts serve the cascade alone.
    part = next(each for each in lungs.values() if each.spec.inner)
    words = ["predict", "--run", part.spec.id, "--from", str(out), "--input", str(tmp_path)]
    Image.new("L", (32, 32)).save(tmp_path / "a.png")
    assert run_cli([*words, "--out", str(tmp_path / "masks")]) == 1
    assert "Name the lung run of the whole fold" in capsys.readouterr().err

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
        (["--task", "hierarchical", "--lung-model", "chsnet"], ("itself a cascade", "raiunet")),
        (["--dilation", "3"], ("mean nothing for the task infection", "--task hierarchical")),
        (["--task", "lung", "--lung-model", "unet"], ("mean nothing", "Leave them out")),
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
def test_a_command_whose_runs_were_cancelled_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(cancelled=["miniseg · phantom fold 1 seed 0"])
    monkeypatch.setattr("runners.cli.run.train_missing", lambda *_, **__: outcome)
    assert run("--models", "miniseg", "--folds", "1", "--out", tmp_path / "runs") == 2
    assert "1 run was cancelled; the same command continues." in capsys.readouterr().err


@pytest.mark.usefixtures("data_root")
def test_a_cascade_by_name_serves_its_own_task_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--task", "lung", "--out", tmp_path, "--fold", "1", "--dry-run"]
    assert run("--models", "chsnet", *words) == 1
    assert capsys.readouterr().err.splitlines()[1] == "Name its network for that: raiunet."
    assert run("--models", "chsnet,miniseg", *words) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("miniseg (lung) · phantom") and len(shown.out.splitlines()) == 1
    assert "Left out, since they are cascades" in shown.err


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize("how", ["never kept", "lost", "turned"])
def test_lungs_that_left_no_predictions_are_run_again_first(
    how: str, pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    asked = ["--models", f"{pair},!*01", "--inner-folds", "2", "--out", out]
    asked = [*asked, "--task", "hierarchical"]
    keep = ["--set", "keep=none"] if how == "never kept" else []
    assert run("--models", f"{pair},!*01", "--task", "lung", "--out", out, *keep) == 0
    (lung,) = load_records(out)
    path = Store(out).folder(lung.spec) / "predictions.npz"
    if how == "lost":
        path.unlink()
    elif how == "turned":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    capsys.readouterr()
    assert run(*asked) == 0
    said = capsys.readouterr().err
    assert f"{lung.spec.title} is run again" in said and "4 runs: 0 done, 4 to do" in said
    again = Store(out).read(lung.spec)
    assert again is not None and again.scores == lung.scores
    assert len(read_predictions(out, again)) == lung.data.n_test
    assert run(*asked) == 0
    assert "4 done, 0 to do" in capsys.readouterr().err


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
