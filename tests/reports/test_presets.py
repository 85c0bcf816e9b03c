from __future__ import annotations

import io
from pathlib import Path

import pytest

import reports.figures.qualitative
from reports.figures.pictures import gather
from reports.figures.presets import PRESETS, preset
from reports.subject import Subject
from results.store import Store
from tests.reports.figures import kept_figures
from tests.reports.pictured import Squares, put_dataset, subject_of, write_pictured
from zoo.errors import CovbenchError

SCORES = {"a-1": 0.5, "a-2": 0.9, "b-1": 0.1}


def stored(root: Path, *models: str) -> Subject:
    for place, model in enumerate(models):
        scores = {name: value - 0.01 * place for name, value in SCORES.items()}
        write_pictured(Store(root), scores, model=model)
    return subject_of(root)


def networks(subject: Subject, name: str, patch: pytest.MonkeyPatch) -> list[str]:
    """The rows that a preset of predictions shows."""
    shown: list[str] = []

    def look(*args: object) -> object:
        found = gather(*args)  # type: ignore[arg-type]
        assert not isinstance(found, str)
        shown[:] = [tile.network for tile in found.lines[0].tiles]
        return found

    patch.setattr(reports.figures.qualitative, "gather", look)
    assert preset(name).draw(subject) is not None
    return shown


@pytest.fixture(autouse=True)
def squares(monkeypatch: pytest.MonkeyPatch) -> None:
    put_dataset(monkeypatch, Squares(list(SCORES)))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_draws_and_names_its_source(name: str, tmp_path: Path) -> None:
    subject = stored(tmp_path, "unet", "raiunet")
    found = preset(name)
    made = found.draw(subject)
    assert made is not None
    file = io.BytesIO()
    made("png")(file)
    assert file.getvalue().startswith(b"\x89PNG")
    words = found.caption(subject)
    assert found.paper in words and found.number in words and words.endswith(found.differs)
    assert ("was not checked against the paper" in words) != found.checked


def test_names_are_those_of_the_entries() -> None:
    assert list(PRESETS) == [each.name for each in PRESETS.values()]
    assert len({each.source for each in PRESETS.values()}) == len(PRESETS)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(CovbenchError, match="Did you mean chsnet-fig8"):
        preset("chsnet-fig9")


def test_chsnets_own_predictions_are_shown_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = stored(tmp_path / "with", "unet", "enet", "raiunet")
    assert networks(subject, "chsnet-fig13", monkeypatch) == ["raiunet"]
    subject = stored(tmp_path / "without", "unet", "enet")
    assert networks(subject, "chsnet-fig13", monkeypatch) == ["unet"]


def test_the_networks_of_its_table_are_shown_where_there_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = stored(tmp_path / "two", "enet", "segnet-vgg16", "raiunet")
    assert networks(subject, "chsnet-fig14", monkeypatch) == ["segnet-vgg16", "raiunet"]
    subject = stored(tmp_path / "one", "enet", "unet", "raiunet")
    assert networks(subject, "chsnet-fig14", monkeypatch) == ["enet", "unet", "raiunet"]


def test_pooling_takes_the_median_image_where_it_is_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = stored(tmp_path, "unet")
    assert "A slice of the phantom" in preset("chsnet-fig8").caption(subject)
    monkeypatch.setattr("tests.reports.pictured.SIDE", 128)
    put_dataset(monkeypatch, Squares(list(SCORES)))
    assert "a-1 of phantom, the image of median Dice, of 128 × 128" in preset(
        "chsnet-fig8"
    ).caption(subject)
    with kept_figures() as figures:
        assert preset("chsnet-fig8").draw(subject) is not None
    shown = [axis for axis in figures[0].axes if axis.images]
    assert all(axis.images[0].get_array().shape == (128, 128) for axis in shown)
