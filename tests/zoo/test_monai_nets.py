"""Networks of MONAI where it is not installed, and what its import leaves behind."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
import torch

from zoo import registry
from zoo.errors import CovbenchError
from zoo.registry import cards, create_model, get_card, missing_packages
from zoo.selection import list_models, passed_over, select
from zoo.source import source_hash

NAMES = sorted(name for name, card in cards().items() if "monai" in card.requires)


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make packages look as if they were not installed."""
    version, find_spec = registry.metadata.version, registry.util.find_spec

    def no_version(name: str) -> str:
        if name in packages:
            raise PackageNotFoundError(name)
        return version(name)

    def no_spec(name: str, *rest: Any) -> Any:
        return None if name in packages else find_spec(name, *rest)

    monkeypatch.setattr(registry.metadata, "version", no_version)
    monkeypatch.setattr(registry.util, "find_spec", no_spec)


def test_these_are_the_networks_of_monai() -> None:
    assert {"mednext-s", "nnunet", "nnunet-residual", "segresnet", "swinunetr", "unetr"} <= {*NAMES}
    assert {name for name in NAMES if "einops" in get_card(name).requires} == {"swinunetr", "unetr"}


def test_without_monai_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "monai", "einops")
    left = list_models("all")
    assert "unet" in left and not set(left) & set(NAMES)
    hidden = passed_over("all")
    assert sorted(hidden) == NAMES
    assert hidden["nnunet"] == ["monai"] and hidden["unetr"] == ["monai", "einops"]


@pytest.mark.parametrize("name", NAMES)
def test_without_monai_naming_one_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "monai")
    for attempt in (select, create_model):
        with pytest.raises(CovbenchError, match="not installed: monai") as caught:
            attempt(name)
        assert caught.value.remedy.startswith("pip install monai")


def test_without_einops_only_the_transformers_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.metadata, "version", lambda name: "1")
    hide(monkeypatch, "einops")
    assert sorted(passed_over("all")) == ["swinunetr", "unetr"]
    assert "nnunet" in list_models("@modern")


def test_listing_networks_does_not_import_monai() -> None:
    code = (
        "import sys; from zoo.selection import list_models; list_models('all'); "
        "sys.exit('monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.skipif(bool(missing_packages(get_card("nnunet"))), reason="needs MONAI")
def test_the_first_import_moves_no_random_number() -> None:
    """The initial weights must not depend on whether MONAI was imported before."""
    code = (
        "import torch; from zoo.registry import create_model; build = lambda: "
        "(torch.manual_seed(0), create_model('segresnet', filters=8).state_dict())[1]; "
        "first, second = build(), build(); "
        "assert all(torch.equal(first[key], second[key]) for key in first)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.skipif(bool(missing_packages(get_card("nnunet"))), reason="needs MONAI")
def test_the_version_of_monai_is_part_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    version = registry.metadata.version
    before = {name: source_hash(get_card(name)) for name in ("nnunet", "unet")}

    def other(name: str) -> str:
        return "999" if name == "monai" else version(name)

    monkeypatch.setattr(registry.metadata, "version", other)
    assert source_hash(get_card("nnunet")) != before["nnunet"]
    assert source_hash(get_card("unet")) == before["unet"]


@pytest.mark.skipif(bool(missing_packages(get_card("segresnet"))), reason="needs MONAI")
def test_on_the_meta_device_nothing_is_on_the_cpu() -> None:
    with torch.device("meta"):
        network = create_model("segresnet")
    assert {each.device.type for each in network.state_dict().values()} == {"meta"}
