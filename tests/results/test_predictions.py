from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from benchmark.metrics import METRICS
from reports.chosen import places_of
from reports.comparing.factors import factors_table
from results.archive import Keep, pack
from results.cases import read_cases
from results.predictions import PREDICTIONS, holds_masks, masks_alone, read_predictions
from results.shared import opened, shipped_stores
from results.store import Store, load_records
from results.unpack import unpack
from tests.predicted import Dataset, write_predicted
from zoo.errors import CovbenchError


def npz(**images: list[list[int]]) -> bytes:
    file = io.BytesIO()
    arrays = {f"p{i}": np.array(each, np.uint8) for i, each in enumerate(images.values())}
    np.savez_compressed(file, ids=np.array(list(images)), **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def test_masks_keep_every_decision_and_what_rounding_left_open() -> None:
    content = masks_alone(npz(a=[[0, 127, 128], [129, 200, 255]], b=[[1, 254]]))
    with np.load(io.BytesIO(content)) as file:
        assert file["ids"].tolist() == ["a", "b"]
        assert file["p0"].tolist() == [[0, 0, 128], [255, 255, 255]]
        assert file["p1"].tolist() == [[0, 255]]
        assert holds_masks([file["p0"], file["p1"]])
    assert masks_alone(content) == content
    assert not holds_masks([np.array([[0, 3]], np.uint8)])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two networks with predictions of two patients."""
    dataset = Dataset({"a-1": [0, 1, 2], "b-1": [5, 6]})
    dataset.put(monkeypatch)
    made = Store(tmp_path / "runs")
    for model, sure in (("x", 0.9), ("y", 0.6)):
        found = {"a-1": {0: sure, 1: sure, 9: 0.3}, "b-1": {5: sure}}
        write_predicted(made, dataset, found, model=model, data={"n_test": 2})
    return made


def test_an_archive_of_masks_gives_the_same_scores_and_says_what_it_lacks(
    store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "x.covbench"
    packed = pack(store.root, target, keep=Keep(predictions="all", masks=True))
    assert packed.predictions == 2
    unpack(target, tmp_path / "theirs")
    for record in load_records(tmp_path / "theirs"):
        own = store.read(record.spec)
        assert own is not None
        assert (own.scores, own.spec.id) == (record.scores, record.spec.id)
        assert record.files[PREDICTIONS] != own.files[PREDICTIONS]
        found = read_predictions(tmp_path / "theirs", record)
        before = read_predictions(store.root, own)
        for image, values in found.items():
            assert set(np.unique(values)) <= {0, 128, 255}
            assert ((values >= 128) == (before[image] >= 128)).all()
    root = tmp_path / "theirs"
    (place,) = places_of(read_cases(root), root)
    table = factors_table(place, root, METRICS["dice_patient"])
    assert not any("threshold" in row.label for row in table.rows)
    assert any("masks alone" in note for note in table.notes)
    (own_place,) = places_of(read_cases(store.root), store.root)
    whole = factors_table(own_place, store.root, METRICS["dice_patient"])
    assert any("threshold" in row.label for row in whole.rows)


def test_missing_and_altered_predictions_are_told(store: Store) -> None:
    record = load_records(store.root)[0]
    path = store.folder(record.spec) / PREDICTIONS
    path.write_bytes(npz(a=[[1]]))
    with pytest.raises(CovbenchError, match="SHA-256"):
        read_predictions(store.root, record)
    path.unlink()
    with pytest.raises(CovbenchError, match="no predictions"):
        read_predictions(store.root, record)


def test_stores_by_folder_file_and_name(store: Store, tmp_path: Path) -> None:
    with opened(store.root) as root:
        assert root == store.root
    pack(store.root, tmp_path / "x.covbench")
    with opened(tmp_path / "x.covbench") as root:
        assert {r.spec.id for r in load_records(root)} == {
            r.spec.id for r in load_records(store.root)
        }
    assert not root.exists()
    with pytest.raises(CovbenchError, match=r"no folder nowhere") as error, opened(Path("nowhere")):
        pass
    assert all(name in error.value.remedy for name in shipped_stores())
    (tmp_path / "broken").write_bytes(b"?")
    with pytest.raises(CovbenchError, match="can't be imported"), opened(tmp_path / "broken"):
        pass
