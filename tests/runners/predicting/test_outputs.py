"""`covbench predict`: nothing is lost, nothing overwritten unasked; mistakes are told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from results.store import Store, load_records
from runners.cli import run_cli
from tests.runners.predicting.scans import RAS, Predict, chest, table
from tests.trained import SIDE, trained


def test_one_bad_file_does_not_lose_the_others(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    nib.save(nib.Nifti1Image(chest(), RAS), folder / "b.nii.gz")
    (folder / "a.nii.gz").write_bytes((folder / "b.nii.gz").read_bytes()[:200])
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    strange = chest().astype(np.int32) * 10 + 9000
    nib.save(nib.Nifti1Image(strange, RAS), folder / "d.nii.gz")
    assert predict("--input", folder, "--json") == 2
    shown = capsys.readouterr()
    found: list[dict[str, Any]] = json.loads(shown.out)
    assert [each["status"] for each in found] == ["failed", "done", "failed", "failed"]
    assert "a.nii.gz" in found[0]["problem"] and "c.png" in found[2]["problem"]
    assert "--window 0,1500" in found[3]["remedy"], "the option of this command"
    assert "3 of 4 images" in shown.err
    assert [Path(line["input"]).name for line in table(tmp_path)] == ["b.nii.gz"]
    assert found[1]["involvement"][0]["infected_voxels"] == 24

    # What is missing is done, and what is there is kept.
    before = (tmp_path / "out" / "b_mask.nii.gz").stat().st_mtime_ns
    assert predict("--input", folder, "--json", "--window=1000,11000") == 1, "b had no such window"
    (folder / "a.nii.gz").unlink()
    assert predict("--input", folder, "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [each["status"] for each in found] == ["kept", "failed", "failed"]
    assert (tmp_path / "out" / "b_mask.nii.gz").stat().st_mtime_ns == before


def test_other_results_are_not_overwritten_unasked(
    predict: Predict, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    nib.save(nib.Nifti1Image(chest(), RAS), path)
    assert predict("--input", path) == 0
    assert sorted(each.name for each in (out / "scan_overlays").iterdir()) == [
        "slice0001.png",
        "slice0002.png",
    ]
    first = (out / "scan_mask.nii.gz").read_bytes()
    other = trained(runs, 100 / 255, seed=1)
    capsys.readouterr()
    assert predict("--input", path, run=other.spec.id) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "scan_mask.nii.gz is there already" in lines[0]
    assert "--force" in lines[1]
    assert (out / "scan_mask.nii.gz").read_bytes() == first
    assert predict("--input", path, "--force", "--overlays", "all", run=other.spec.id) == 0
    assert (out / "scan_mask.nii.gz").read_bytes() != first
    assert len(list((out / "scan_overlays").iterdir())) == 5
    # A mask of another program is nobody's to overwrite either; a changed one of ours is not kept.
    (out / "scan_mask.json").unlink()
    assert predict("--input", path, run=other.spec.id) == 1


def test_what_was_interrupted_is_done_again(predict: Predict, tmp_path: Path) -> None:
    path, out = tmp_path / "scan.nii.gz", tmp_path / "out"
    nib.save(nib.Nifti1Image(chest(), RAS), path)
    assert predict("--input", path) == 0
    facts, mask = out / "scan_mask.json", out / "scan_mask.nii.gz"
    whole, first = facts.read_text(), mask.read_bytes()
    # Killed after the mask was written: its facts don't vouch for it yet.
    facts.write_text(json.dumps({**json.loads(whole), "mask": "", "parts": []}))
    mask.write_bytes(b"half")
    assert predict("--input", path) == 0
    assert (facts.read_text(), mask.read_bytes()) == (whole, first)
    mask.unlink()
    assert predict("--input", path) == 0
    assert mask.read_bytes() == first
    # Somebody changed it afterwards: that is not lost unasked.
    mask.write_bytes(b"mended by hand")
    assert predict("--input", path) == 1
    assert mask.read_bytes() == b"mended by hand"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "nowhere.nii"], "no file or folder nowhere.nii"),
        (["--input", "notes.txt"], "no image that can be read"),
        (["--input", "empty"], "no images in empty"),
        (["--input", "empty", "--out", "empty"], "Give another --out"),
        (["--window", "5"], "--window '5' is no window"),
        (["--window", "5,1"], "--window '5,1' is no window"),
        (["--overlays", "sum"], "Did you mean some?"),
        (["--device", "tpu"], "no device 'tpu'"),
        (["--device", "cuda:99"], "no GPU 'cuda:99'"),
        (["--lung-run", "{id}"], "outlines no lungs"),
        (["--run", "{id}x"], "Unknown run"),
        (["--run", "{without}"], "kept no weights"),
        (["--run", "{old}"], "settings that this covbench doesn't know"),
    ],
)
def test_mistakes_are_told_in_two_lines(
    arguments: list[str],
    words: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("")
    Path("empty").mkdir()
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save("a.png")
    (record,) = load_records(runs)
    settings = {**record.spec.settings, "later": {"field": 1}}
    names = {
        "id": record.spec.id,
        "without": trained(runs, 0.5, keep=False, seed=5).spec.id,
        "old": trained(runs, 0.5, settings=settings).spec.id,
    }
    given = {"--run": record.spec.id, "--from": "runs", "--input": "a.png", "--out": "out"}
    given |= {
        key: value.format(**names)
        for key, value in zip(arguments[::2], arguments[1::2], strict=True)
    }
    assert run_cli(["predict", *(word for pair in given.items() for word in pair)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 2 and words in shown.err
    assert not list(Path().rglob("*_mask*"))


def test_a_network_of_a_file_runs_only_when_its_file_is_named(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trained(runs, 0.5, seed=9)
    spec = record.spec.model_copy(update={"model": "nowhere-registered"})
    files = {**record.files, "my_net.py": "0" * 64}
    other = record.model_copy(update={"spec": spec, "files": files})
    Store(runs).write(other)
    weights = Store(runs).folder(record.spec) / "weights.safetensors"
    os.link(weights, Store(runs).folder(spec) / "weights.safetensors")
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(tmp_path / "a.png")
    words = ["--from", str(runs), "--input", str(tmp_path / "a.png"), "--out", str(tmp_path)]
    assert run_cli(["predict", "--run", spec.id, *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "not built in" in lines[0] and "my_net.py" in lines[0]
    assert "--plugin" in lines[1]


def test_a_changed_source_is_said(
    runs: Path, predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trained(runs, 0.5, source="7" * 64)
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(tmp_path / "a.png")
    assert predict("--input", tmp_path / "a.png", run=record.spec.id) == 0
    assert "has changed since it was trained" in capsys.readouterr().err
