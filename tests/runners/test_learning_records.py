"""The committed records of `make learn`: every network learned, or is named as one that did not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.learn import HUGE, STORE, best_records, best_trivial, dice, learned, names, page

ROOT = Path(__file__).parents[2]
README = (ROOT / STORE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch, data_root: Path) -> None:
    monkeypatch.chdir(ROOT)


def test_every_network_beats_the_trivial_predictors_or_is_named() -> None:
    best = best_records(current=False)
    assert sorted(best) == names()
    assert best_trivial() > 0.15
    weak = {name for name, record in best.items() if not learned(record)}
    sentence = re.search(r"or more steps: (.*)\.\n", README)
    assert sentence is not None
    assert weak == set(re.findall(r"`(.+?)`", sentence[1]))
    assert len(weak) <= 3, "most networks must learn from random weights"
    for name, record in best.items():
        assert record.data.groups_disjoint
        assert record.training is not None and len(record.training.curve) >= (
            4 if name in HUGE else 8
        )
        assert dice(record) == record.scores["infection"]["dice_slice"].value


def test_the_page_is_that_of_the_records() -> None:
    assert page(best_records(current=False)) == README


@pytest.mark.slow
def test_the_records_are_of_the_present_sources() -> None:
    assert sorted(best_records()) == names()
