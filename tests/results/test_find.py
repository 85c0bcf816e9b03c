"""A run by what a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.find import find_run
from results.store import Store
from results.untrusted import WEIGHTS
from tests.factory import make_record
from zoo.errors import CovbenchError


def store_of(tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs")
    for seed in (0, 1):
        store.write(make_record("unet", seed=seed))
    return store


def test_an_id_its_beginning_a_title_and_a_folder_name_the_same_run(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    spec = make_record("unet", seed=1).spec
    folder = store.folder(spec)
    for word in (spec.id, spec.id[:6], spec.id[:9].upper(), spec.title, str(folder)):
        found = find_run(store.root, word)
        assert found.record.spec == spec
        assert (found.folder.resolve(), found.store.resolve()) == (folder, store.root)
    assert find_run(tmp_path / "elsewhere", str(folder)).record.spec == spec


def test_unknown_runs_are_refused_with_what_is_near(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    spec = make_record("unet", seed=1).spec
    for word in (spec.title.replace("seed 1", "seed 7"), spec.id[:11] + "g", spec.id[:5]):
        with pytest.raises(CovbenchError) as caught:
            find_run(store.root, word)
        assert f"Unknown run {word!r}" in caught.value.problem
        assert spec.id[:12] in caught.value.remedy and spec.title in caught.value.remedy
    with pytest.raises(CovbenchError) as caught:
        find_run(store.root, spec.title.replace("seed 1", "seed 7"))
    assert "Did you mean" in caught.value.remedy
    with pytest.raises(CovbenchError, match="no folder of runs"):
        find_run(tmp_path / "nowhere", "abcdef")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CovbenchError, match="no finished runs"):
        find_run(tmp_path / "empty", "abcdef")


def test_a_title_of_two_runs_is_refused_with_their_ids(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    settings = {**make_record("unet").spec.settings, "optim": {"epochs": 3}}
    other = make_record("unet", settings=settings)
    store.write(other)
    with pytest.raises(CovbenchError) as caught:
        find_run(store.root, other.spec.title)
    assert "names 2 runs" in caught.value.problem
    assert other.spec.id[:12] in caught.value.remedy


def test_weights_must_be_those_of_the_record(tmp_path: Path) -> None:
    from tests.trained import trained

    root = tmp_path / "runs"
    record = trained(root, 0.5)
    found = find_run(root, record.spec.id)
    assert found.weights == Store(root).folder(record.spec) / WEIGHTS
    content = found.weights.read_bytes()
    found.weights.write_bytes(content[:-1] + b"x")
    with pytest.raises(CovbenchError, match="doesn't match the SHA-256"):
        _ = found.weights
    (found.folder / WEIGHTS).unlink()
    with pytest.raises(CovbenchError, match=r"There is no .*which the run's record names"):
        _ = found.weights
    without = trained(root, 0.5, keep=False, seed=3)
    with pytest.raises(CovbenchError, match="kept no weights"):
        _ = find_run(root, without.spec.id).weights


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    folder = store.folder(make_record("unet", seed=1).spec)
    (folder / "record.json").write_text("{")
    with pytest.raises(CovbenchError, match=r"record\.json can't be read"):
        find_run(store.root, str(folder))
