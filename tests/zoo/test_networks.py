"""Every built-in network keeps the whole contract, and its card tells the truth."""

from __future__ import annotations

import pytest
import torch

from benchmark.complexity import measure_cost
from results.published import published_table
from zoo.contract import check_model
from zoo.registry import build, cards, get_card
from zoo.selection import list_models
from zoo.source import source_files, source_hash

NAMES = list_models("all")


@pytest.mark.parametrize("name", NAMES)
def test_network_keeps_the_contract(name: str) -> None:
    broken = [result for result in check_model(name) if not result.passed]
    assert not broken, "\n".join(f"{each.clause}: {each.detail}" for each in broken)


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name: str) -> None:
    card = get_card(name)
    assert card.params, "count its parameters with 3 channels and 2 classes"
    assert card.paper and card.reference and card.year, "name its paper"
    assert card.tags, "give it a tag"
    assert card.min_size <= 128, "the smallest images of the protocols could not be used"
    for row in card.rows:
        table, slash, method = row.partition("/")
        assert slash and published_table(table).method_rows(method), "a row is table/method"


@pytest.mark.parametrize("name", NAMES)
def test_card_states_what_the_network_costs_and_where_it_can_start(name: str) -> None:
    card = get_card(name)
    assert card.macs == measure_cost(card).macs["flop_counter_mode"]
    with torch.device("meta"):
        network = build(card)
    if card.encoder:
        network.get_submodule(card.encoder)
    assert ("weights" in card.options) == bool(card.weights), "whose weights, which licence"
    if card.weights not in ("", "none published"):
        assert card.encoder, "name the submodule that they initialise"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_default_that_a_selection_can_write(name: str) -> None:
    for option, default in get_card(name).options.items():
        assert default is None or isinstance(default, bool | int | float | str), option


def test_each_network_has_its_own_source() -> None:
    for name in NAMES:
        files = source_files(get_card(name))
        assert files[0].parent.name in ("nets", "zoo"), name
        assert get_card(name).module.startswith("zoo.nets."), name
        assert len(source_hash(get_card(name))) == 64


def test_no_two_networks_stand_for_one_row() -> None:
    rows = [row for card in cards().values() if card.source == "built-in" for row in card.rows]
    assert sorted(rows) == sorted(set(rows))
