from __future__ import annotations

import pytest

from reports.figures.multiples import broken, page_grid


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("unet", 24, "unet"),
        ("smp:unetplusplus/resnet34", 20, "smp:unetplusplus/\nresnet34"),
        ("smp:unetplusplus/resnet34", 14, "smp:unetpluspl\nus/resnet34"),
        ("smp:unetplusplus/resnet34", 8, "smp:unet\nplusplu…"),
        ("a" * 12, 8, "aaaaaaaa\naaaa"),
        ("attention-unet (2 of 3 runs)", 20, "attention-unet (2 of\n3 runs)"),
    ],
)
def test_names_are_broken_after_their_own_punctuation(name: str, width: int, shown: str) -> None:
    assert broken(name, width) == shown
    assert all(len(line) <= width for line in shown.split("\n"))


def test_a_single_line_is_cut() -> None:
    assert broken("patient-01-slice-003", 12, 1) == "patient-01-…"


@pytest.mark.parametrize(
    ("panels", "grid"), [(1, (1, 1)), (5, (1, 5)), (9, (2, 5)), (16, (3, 6)), (30, (5, 6))]
)
def test_grids_on_a_page(panels: int, grid: tuple[int, int]) -> None:
    assert page_grid(panels) == grid
