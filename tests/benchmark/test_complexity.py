"""The one count of multiply-adds that tables show."""

from __future__ import annotations

import pytest

from tests.reports.profiles import make_cost


@pytest.mark.parametrize(
    ("macs", "headline"),
    [
        ({"table3": 3, "flop_counter_mode": 2, "fvcore": 1}, 1),
        ({"table3": 3, "flop_counter_mode": 2}, 2),
        ({"table3": 3}, None),
        ({}, None),
    ],
)
def test_the_headline_is_never_what_table3_counts(macs: dict[str, int], headline: int) -> None:
    assert make_cost(macs=macs).headline == headline
