"""Commands that do runs again, for every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.datasets.inside import Cascade
from reports.comparison import compare
from reports.lint.runs import command
from tests.factory import make_record


@pytest.mark.parametrize(
    ("cascade", "words"),
    [
        (Cascade(), ""),
        (Cascade(lungs="truth", lung_source="s"), " --lungs truth"),
        (
            Cascade(lung_row="enet", lung_source="s", mask="soft", dilation=2, inner_folds=2),
            " --lung-model enet --lung-mask soft --dilation 2 --inner-folds 2",
        ),
    ],
)
def test_a_cascade_is_asked_for_with_its_options(cascade: Cascade, words: str) -> None:
    direct = make_record("unet")
    inside = make_record("unet", task="hierarchical", cascade=cascade)
    (comparison,) = compare([direct, inside])
    found = command(Path("runs"), comparison, [direct.spec, inside.spec], [(1, 0)])
    end = "--protocol smoke --folds 1 --seeds 0 --out runs"
    assert found.split(" && ") == [
        f"covbench run --models unet --data phantom {end}",
        f"covbench run --models unet --data phantom --task hierarchical{words} {end}",
    ]


def test_parts_of_a_fold_are_in_no_comparison() -> None:
    whole = make_record("unet", task="lung")
    part = make_record("unet", task="lung", inner=(1, 3))
    (comparison,) = compare([whole, part])
    assert [record.spec.id for record in comparison.records] == [whole.spec.id]
