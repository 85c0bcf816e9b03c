"""The fused set: both collections at one size, dark slices dropped, shared patients found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets import prepare_dataset
from benchmark.datasets.twins import ALIKE, find_twins, likeness, thumbnails
from tests.benchmark.volumes import Body, body, save_coronacases20, save_medseg9
from zoo.errors import CovbenchError

TWENTY = {
    "coronacases_001": body(1),
    "radiopaedia_10_85902_1": body(2),
    "radiopaedia_10_85902_3": body(3),
}


def seen_otherwise(of: Body) -> Body:
    """The same scan as another collection has it: another window, noise, other outlines."""
    rng = np.random.default_rng(0)
    hu = np.clip(of.hu * 0.8 - 100 + rng.normal(0, 20, of.hu.shape), -1100, 300).astype(np.int16)
    return replace(of, hu=hu, infection=np.roll(of.infection, 1, axis=2))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    nine = {"1": body(11), "2": seen_otherwise(TWENTY["radiopaedia_10_85902_3"]), "3": body(13)}
    save_medseg9(tmp_path / "source/nr2", nine)
    save_coronacases20(tmp_path / "source/zenodo", TWENTY)
    return tmp_path / "source"


def test_both_collections_at_one_size(source: Path, tmp_path: Path):
    steps: list[tuple[int, int]] = []
    made = prepare_dataset(
        "fused", source, root=tmp_path / "data", size=16, progress=lambda *at: steps.append(at)
    )
    assert steps == [(i, 12) for i in range(1, 13)], "each scan is read for its looks, then kept"
    # The top slice of every scan is air, but for one pixel of bone.
    assert len(made) == 6 * 5
    assert made.uniform_size() == (16, 16)
    assert made.cases[0].spacing_mm == (1.5, 1.0)
    assert [case.source for case in made.cases] == ["medseg9"] * 15 + ["coronacases20"] * 15
    i = next(i for i, case in enumerate(made.cases) if case.id == "coronacases_001-0002")
    grey = TWENTY["coronacases_001"].grey[2].reshape(16, 2, 16, 2).mean(axis=(1, 3))
    assert np.abs(made.image(i) - grey).max() <= 0.5
    assert set(np.unique(made.mask(i))) == {0, 1} == set(np.unique(made.lung(i)))
    assert (0 in made.foreground) and made.manifest.tasks == ("infection", "lung", "hierarchical")


def test_what_was_dropped_is_counted_beside_the_paper(source: Path, tmp_path: Path):
    def notes(**options: object) -> str:
        made = prepare_dataset("fused", source, root=tmp_path / "data", **options)
        return " ".join(made.manifest.notes)

    told = notes()
    assert "30 of 36 slices are kept" in told and "24 show infection" in told
    assert "15 of medseg9, 15 of coronacases20" in told and "3560, 2200 of them" in told
    assert "36 of 36 slices are kept, those with anything" in notes(drop="none")
    assert "30 of 36 slices are kept, those with lung" in notes(drop="lungless")
    assert "36 of 36 slices are kept" in notes(dark_share=0)


def test_patients_of_both_collections_share_a_group(source: Path, tmp_path: Path):
    made = prepare_dataset("fused", source, root=tmp_path / "data", size=32)
    groups = {case.id.rpartition("-")[0]: case.group for case in made.cases}
    assert groups == {
        "medseg9-1": "medseg9-1",
        "medseg9-2": "radiopaedia_10",
        "medseg9-3": "medseg9-3",
        "coronacases_001": "coronacases_001",
        "radiopaedia_10_85902_1": "radiopaedia_10",
        "radiopaedia_10_85902_3": "radiopaedia_10",
    }
    assert "medseg9-2 = radiopaedia_10_85902_3 (correlation 0.9" in made.manifest.notes[-1]


def test_the_two_can_lie_apart_and_their_places_do_not_matter(source: Path, tmp_path: Path):
    one = prepare_dataset("fused", source, root=tmp_path / "data")
    (source / "nr2").rename(tmp_path / "elsewhere")
    apart = {"medseg9": str(tmp_path / "elsewhere"), "coronacases20": str(source / "zenodo")}
    two = prepare_dataset("fused", root=tmp_path / "data2", **apart)
    assert two.manifest_hash == one.manifest_hash
    assert "elsewhere" not in two.manifest.model_dump_json()
    with pytest.raises(CovbenchError, match="does not hold rp_im"):
        prepare_dataset("fused", source, root=tmp_path / "data")
    with pytest.raises(CovbenchError, match="one class"):
        prepare_dataset("fused", root=tmp_path / "data", label_map="1:1,2:2", **apart)


def test_likeness_is_of_what_is_shown():
    one, other = TWENTY["coronacases_001"].grey, TWENTY["radiopaedia_10_85902_1"].grey
    same = thumbnails(one)
    assert likeness(same, same) == pytest.approx(1, abs=1e-5)
    assert likeness(thumbnails(one[1:4, ::-1]), same) == pytest.approx(1, abs=1e-5), "mirrored"
    assert likeness(thumbnails(one // 2 + 60), same) > 0.999, "another window"
    assert likeness(thumbnails(other), same) < 0.8 < ALIKE
    assert likeness(thumbnails(np.zeros_like(one)), same) == 0
    found = find_twins({"a": same}, {"b": thumbnails(other), "c": same})
    assert found == {"a": ("c", pytest.approx(1, abs=1e-5))} and find_twins({"a": same}, {}) == {}
