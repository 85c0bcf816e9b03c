"""`covbench data prepare --download`, from a server on this machine to a trained run."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.datasets import open_dataset
from benchmark.datasets.catalogue import RECIPES
from benchmark.datasets.download import HASHES
from results.store import load_records
from runners.cli import run_cli
from tests.benchmark.volumes import body, save_coronacases20, zipped

NAMES = [f"coronacases_00{i}" for i in range(1, 4)] + ["radiopaedia_4_85506_1"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The four archives behind addresses on this machine in place of Zenodo's."""
    served = save_coronacases20(tmp_path / "served", {n: body(i) for i, n in enumerate(NAMES)})
    zipped(served)
    handler = functools.partial(Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        base = f"http://127.0.0.1:{http.server_address[1]}"
        known = RECIPES["coronacases20"]
        assert all(each.startswith("https://zenodo.org/") for each in known.downloads.values())
        here = {name: f"{base}/{name}?download=1" for name in known.downloads}
        monkeypatch.setitem(RECIPES, "coronacases20", replace(known, downloads=here))
        monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
        monkeypatch.chdir(tmp_path)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield served
        http.shutdown()
        thread.join()


def test_from_the_download_to_a_trained_run(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["data", "prepare", "coronacases20", "--download"]) == 0
    shown = capsys.readouterr()
    assert "Licence: CC BY-NC-SA" in shown.err and "doi:10.5281/zenodo.3757476" in shown.err
    dataset = open_dataset("coronacases20")
    assert len(dataset) == 24 and dataset.has_lungs
    kept = tmp_path / "data/downloads/coronacases20"
    archives = sorted(path.name for path in server.iterdir())
    assert sorted(path.name for path in kept.iterdir()) == sorted([HASHES, *archives])
    assert run_cli(["data", "prepare", "coronacases20", "--download"]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    command = ["run", "--models", "miniseg", "--protocol", "smoke", "--data", "coronacases20"]
    smaller = ["--set", "max_steps=2", "--set", "split.folds=2", "--jobs", "1"]
    assert run_cli([*command, *smaller, "--out", str(tmp_path / "runs")]) == 0
    (record,) = load_records(tmp_path / "runs")
    assert record.spec.model == "miniseg" and record.spec.dataset == "coronacases20"


def test_files_can_go_elsewhere(server: Path, tmp_path: Path) -> None:
    assert run_cli(["data", "prepare", "coronacases20", "mine", "--download"]) == 0
    assert (tmp_path / "mine" / HASHES).is_file() and not (tmp_path / "data/downloads").exists()


@pytest.mark.parametrize("name", ["ct100", "medseg9", "mosmed", "fused"])
def test_without_an_address_it_says_where_the_files_are(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["data", "prepare", name, "--download"]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert "no address" in problem and "Fetch" in remedy
    assert f"covbench data prepare {name} FOLDER" in remedy
