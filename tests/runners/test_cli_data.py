"""`covbench data`."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from benchmark.datasets import open_dataset
from benchmark.protocols import SplitRule
from runners.cli import options, run_cli

SMALL = ["--option", "size=16", "--option", "patients=5", "--option", "slices=2"]
PREPARE = ["data", "prepare", "phantom", "--as", "small", *SMALL]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two slices of 20 x 16 pixels, 32 of 640 infected; masks store 255."""
    folder = tmp_path / "mine"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((20, 16), dtype=np.uint8)
    mask[:4, :8] = 255
    for stem, truth in (("a", mask), ("b", 0 * mask)):
        Image.fromarray(np.full((20, 16), 90, dtype=np.uint8)).save(folder / f"images/{stem}.png")
        Image.fromarray(truth).save(folder / f"masks/{stem}.png")
    return folder


def two_lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    assert run_cli(list(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    problem, remedy = printed.err.splitlines()
    return problem, remedy


def test_prepare_says_what_it_made_and_does_it_once(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(PREPARE) == 0
    made = capsys.readouterr()
    dataset = open_dataset("small")
    share = dataset.manifest.class_pixels[1] / (10 * 16 * 16)
    for part in (str(root / "small"), "10\n", "5 (known)", f"{share:.3%}", "Apache-2.0"):
        assert part in made.out
    assert "\r" not in made.err and len(made.err.splitlines()) == 1  # no bar outside a terminal

    before = (root / "small" / "manifest.json").stat().st_mtime_ns
    assert run_cli(PREPARE) == 0
    assert capsys.readouterr().out == f"Nothing to do: small is prepared in {root / 'small'}.\n"
    assert (root / "small" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("way", [[], ["--from"]])
def test_prepare_reads_a_folder_named_either_way(
    way: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["data", "prepare", "folder", *way, str(pictures), "--as", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "infection 5.000%" in shown and "not known" in shown


def test_prepare_shows_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(options, "messages", lambda: Console(file=screen, force_terminal=True))
    assert run_cli(PREPARE) == 0
    assert "Preparing phantom" in screen.getvalue() and "━" in screen.getvalue()


def test_long_preparations_tell_how_far_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("runners.display._SECONDS_BETWEEN_LINES", 0.0)
    assert run_cli(PREPARE) == 0
    assert capsys.readouterr().err.splitlines()[:5] == [
        f"Preparing phantom: {patient} of 5" for patient in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (["phantum"], "phantum", "Did you mean phantom?"),
        (["ct100"], "needs the folder", "covbench data prepare ct100"),
        (["ct100", "a", "--from", "b"], "given twice", "--from"),
        (["phantom", "--option", "size"], "'size'", "key=value"),
        (["phantom", "--option", "size=1", "--option", "size=2"], "twice", "Keep one"),
        (["phantom", "--option", "root=x"], "'root'", "size, patients"),
        (["phantom", "--option", "size=large"], "size=large", "default"),
    ],
)
def test_mistakes_get_two_lines(
    arguments: list[str], problem: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two_lines(capsys, "data", "prepare", *arguments)
    assert problem in first and remedy in second


def test_verify_finds_a_changed_pixel(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_cli(PREPARE)
    assert run_cli(["data", "verify", "small"]) == 0
    assert "10 slices" in capsys.readouterr().out
    masks = root / "small" / "masks.raw"
    data = bytearray(masks.read_bytes())
    data[7] ^= 1
    masks.chmod(0o644)
    masks.write_bytes(data)
    problem, remedy = two_lines(capsys, "data", "verify", "small")
    assert "masks.raw" in problem and "data prepare" in remedy


def lists(folder: Path, **names: str) -> str:
    """A folder with lists of the slices of the phantom made small."""
    folder.mkdir(exist_ok=True)
    for name, text in names.items():
        (folder / f"{name}.txt").write_text(text.replace(" ", "\n"))
    return str(folder)


def test_lists_of_folds_are_taken_and_their_leaks_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = lists(
        tmp_path / "lists",
        train0="img/patient-01-01.png img/patient_1_2.png",
        val0="x\\patient-02-01.png",
        train1="patient-02-01.png patient-03-01.png",
        val1="patient-02-02.png",
    )
    assert run_cli([*PREPARE, "--lists", given]) == 0
    shown = capsys.readouterr().out
    assert "2: 1 leak\n" in shown
    assert "fold 2: patient-02 trains (patient-02-01) and tests (patient-02-02)" in shown
    assert run_cli(["data", "verify", "small", "--json"]) == 0
    (verified,) = json.loads(capsys.readouterr().out)
    assert verified["groups_known"] == "all" and verified["slices"] == 10
    assert [(fold["train"], fold["test"]) for fold in verified["folds"]] == [(2, 1), (2, 1)]
    assert [fold["groups_disjoint"] for fold in verified["folds"]] == [True, False]
    assert verified["folds"][1]["shared"] == [
        {"group": "patient-02", "train": ["patient-02-01"], "test": ["patient-02-02"]}
    ]
    assert run_cli([*PREPARE, "--lists", given]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    lists(tmp_path / "lists", val1="patient-04-02.png")
    assert run_cli([*PREPARE, "--lists", given]) == 0
    assert "2: no group is on both sides" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"val1": "patient-09-01.png"}, "no slice of the dataset"),
        ({"val1": "patient-03-01.png"}, "which the same fold trains on"),
        ({"val1": "01.png"}, "no slice"),
        ({"val1": "patient-04-02.png patient-04-2.png"}, "names a slice twice"),
        ({"val1": ""}, "is empty"),
        ({"train2": "patient-04-02.png"}, "lacks val2.txt"),
    ],
)
def test_lists_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], said: str
) -> None:
    whole = {
        "train0": "patient-01-01.png",
        "val0": "patient-02-01.png",
        "train1": "patient-02-01.png patient-03-01.png",
        "val1": "patient-02-02.png",
    }
    given = lists(tmp_path / "lists", **{**whole, **change})
    problem, _ = two_lines(capsys, *PREPARE, "--lists", given)
    assert said in problem
    assert not (tmp_path / "data" / "small").exists()


def test_a_folder_without_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem, remedy = two_lines(capsys, *PREPARE, "--lists", str(tmp_path))
    assert "no lists of folds" in problem and "train0.txt" in remedy


def test_folds_that_cannot_be_made_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["data", "prepare", "phantom", "--as", "few", "--option", "size=16"]
    assert run_cli([*few, "--option", "patients=2"]) == 0
    assert "none by default: 5 folds can't be made of 2 groups" in capsys.readouterr().out
    assert run_cli(["data", "verify", "few", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["folds"] is None


def test_show_writes_a_contact_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_cli(PREPARE)
    capsys.readouterr()
    assert run_cli(["data", "show", "small"]) == 0
    assert capsys.readouterr().out == "Written: small.png\n"
    assert run_cli(["data", "show", "small", "--to", "other.PNG"]) == 0
    with Image.open(tmp_path / "small.png") as sheet, Image.open(tmp_path / "other.PNG") as same:
        assert sheet.format == "PNG" and sheet.size == same.size
        assert np.ptp(np.asarray(sheet), axis=2).any()  # the outlines have a colour


def test_show_refuses_another_kind_of_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem, remedy = two_lines(capsys, "data", "show", "phantom", "--to", "sheet.jpg")
    assert "sheet.jpg" in problem and ".png" in remedy
    assert not (tmp_path / "sheet.jpg").exists()


def test_an_unknown_dataset_gets_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("verify", "show"):
        problem, _ = two_lines(capsys, "data", verb, "nowhere")
        assert "'nowhere'" in problem


def test_list_is_the_list_of_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["data", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert run_cli(["datasets", "--json"]) == 0
    assert capsys.readouterr().out == listed


def test_data_alone_shows_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["data"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("prepare", "verify", "show", "list"))


@pytest.mark.skipif("COVBENCH_SHARED" not in os.environ, reason="no real data here")
def test_ct100_is_prepared_with_the_published_share(capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(os.environ["COVBENCH_SHARED"]) / "data"
    assert run_cli(["data", "prepare", "ct100", "--from", str(source)]) == 0
    shown = capsys.readouterr().out
    assert "infection 6.943%" in shown and "partly known" in shown and "MedSeg" in shown
    for leak in (
        "fold 1: study-06 trains (0026, 0027) and tests (0006)",
        "fold 2: study-41 trains (0054, 0073) and tests (0041)",
        "fold 4: study-01 trains (0015) and tests (0001)",
        "fold 4: study-77 trains (0077) and tests (0099)",
    ):
        assert leak in shown
    folds = str(source / "COVID-19-CT100/dataList")
    command = ["data", "prepare", "ct100", "--from", str(source), "--as", "listed"]
    assert run_cli([*command, "--lists", folds]) == 0
    shipped, listed = (open_dataset(name).folds(SplitRule()) for name in ("ct100", "listed"))
    assert listed == shipped
