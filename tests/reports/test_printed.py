from __future__ import annotations

from typing import Any

import pytest

from reports.verdicts.printed import doubtful, impossible
from results.published import PublishedTable, published_names, published_table


def table(**line: str) -> PublishedTable:
    """A table of one row, in fractions."""
    keys = {name: f"{name}_slice" for name in line}
    return PublishedTable("mine", "Mine, Table 1", ({"method": "A", **line},), keys)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"dice": "0.81", "jaccard": "0.89"}, "Jaccard above Dice"),
        ({"dice": "0.80", "jaccard": "0.81"}, None),  # 0.805 and 0.805
        ({"dice": "0.80", "jaccard": "0.82"}, "Jaccard above Dice"),
        # 0.80 / 1.20 = 0.667, and 0.795 / 1.205 = 0.660 at least.
        ({"dice": "0.80", "jaccard": "0.67"}, None),
        ({"dice": "0.80", "jaccard": "0.66"}, None),
        ({"dice": "0.80", "jaccard": "0.65"}, "Jaccard below"),
        # 2 * 0.6 * 0.8 / 1.4 = 0.686: from 0.681 to 0.691 with these digits.
        ({"dice": "0.69", "precision": "0.60", "sensitivity": "0.80"}, None),
        ({"dice": "0.70", "precision": "0.60", "sensitivity": "0.80"}, "Dice above the harmonic"),
        ({"dice": "0.67", "precision": "0.60", "sensitivity": "0.80"}, "means over images can"),
        ({"accuracy": "0.94", "sensitivity": "0.46", "specificity": "0.79"}, "accuracy outside"),
        ({"accuracy": "0.45", "sensitivity": "0.47", "specificity": "0.79"}, "accuracy outside"),
        ({"accuracy": "0.80", "sensitivity": "0.46", "specificity": "0.79"}, None),
        ({"accuracy": "0.60", "sensitivity": "0.46", "specificity": "0.79"}, None),
        ({"dice": "0.80"}, None),
    ],
)
def test_each_rule_with_the_rounding_of_its_digits(line: dict[str, Any], words: str | None) -> None:
    found = impossible(table(**line))
    assert len(found) == (words is not None)
    if words:
        assert words in found[0]
        assert found[0].startswith("Mine, Table 1 prints ")
        assert found[0].endswith(": A.")


def test_miou_and_dice_of_one_matrix() -> None:
    # A Dice of 0.5 is a Jaccard of 1/3: with a background of 1 the mean is 0.667.
    keys = {"miou": "miou_pooled", "dice": "dice_slice"}
    for miou, broken in (("66.5", False), ("66.9", True)):
        line = {"method": "A", "miou": miou, "dice": "50.0"}
        found = impossible(PublishedTable("mine", "Mine", (line,), keys, percent=True))
        assert bool(found) == broken


def test_chsnets_table3() -> None:
    higher, harmonic, accuracy = impossible(published_table("chsnet-table3"))
    assert "Jaccard above Dice" in higher
    for row in published_table("chsnet-table3").rows:
        assert row["model"] in higher
    assert harmonic.endswith(": SegNet+VGG16.")  # 2 * 0.35 * 0.46 / 0.81 = 0.398, printed 0.37
    assert accuracy.endswith(": SegNet+VGG16, U-Net+VGG16, U-Net++ + ResNet50.")


def test_rows_that_are_called_alike_are_told_apart() -> None:
    (sentence,) = impossible(published_table("chsnet-table2"))
    assert sentence.endswith("lungs, infection.")
    (sentence,) = impossible(published_table("chsnet-table5"))
    assert "BU (lungs), BU (infection)" in sentence


def test_minisegs_table3_has_23_of_26_baselines_and_both_of_its_own() -> None:
    (sentence,) = impossible(published_table("miniseg-table3"))
    assert "mIoU and Dice" in sentence
    assert sentence.endswith("25 of 28 rows.")


def test_what_is_doubtful_is_the_number_that_no_mask_has() -> None:
    for name in published_names():
        published = published_table(name)
        expected = {"jaccard"} if name.startswith("chsnet") and published.scores else set()
        for line in published.rows:
            assert doubtful(published, line) == expected
