"""`covbench models`, `datasets` and `protocols`."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmark.datasets import prepare_dataset
from benchmark.protocols import list_protocols, load_protocol
from runners.cli import run_cli
from zoo import registry
from zoo.registry import cards, register_model
from zoo.selection import list_models

KEYS = {
    "name",
    "params",
    "macs",
    "paper",
    "reference",
    "year",
    "tags",
    "rows",
    "divisor",
    "min_size",
    "batch1",
    "trainable",
    "weights",
    "licence",
    "options",
    "notes",
    "published",
    "source",
}


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run_cli(list(arguments)) == 0
    return capsys.readouterr().out


def items(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output(capsys, *arguments, "--json"))
    return found


@pytest.fixture
def needy() -> Iterator[str]:
    """A network whose package nobody has."""

    @register_model("needy", requires=("no-such-package",))
    def needy(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes, 1)

    yield "needy"
    registry.forget(__name__)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    monkeypatch.setenv("COVBENCH_DATA", str(root))
    return root


def test_models_as_json_are_all_that_can_be_selected(capsys: pytest.CaptureFixture[str]) -> None:
    found = items(capsys, "models")
    assert [each["name"] for each in found] == list_models("all")
    assert all(set(each) == KEYS for each in found)
    for each in found:
        assert each["params"] == cards()[each["name"]].params


def test_models_as_a_table_names_the_patterns_too(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "models")
    lines = text.splitlines()
    assert lines[0].split() == ["name", "parameters", "GMACs", "paper", "year", "tags", "source"]
    unet = next(line for line in lines if line.startswith("unet "))
    assert f"{cards()['unet'].params:,}" in unet and cards()["unet"].paper in unet
    assert "smp:<architecture>/<encoder>" in text.split("\n\n")[1]


def test_a_selection_keeps_its_options_and_counts_with_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = items(capsys, "models", "miniseg,miniseg[strict=true]")
    assert second["name"] == "miniseg[strict=true]" and second["options"]["strict"] is True
    assert second["params"] < first["params"] == cards()["miniseg"].params
    assert "miniseg[strict=true] " in output(capsys, "models", "miniseg,miniseg[strict=true]")


def test_one_name_shows_its_whole_card(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(output(capsys, "models", "miniseg").split())
    card = cards()["miniseg"]
    for part in (card.paper, card.reference, card.rows[0], card.notes, "472,440", "strict=false"):
        assert part in text


def test_the_card_names_released_weights(capsys: pytest.CaptureFixture[str]) -> None:
    released = cards()["miniseg-83k"].released
    assert released is not None
    text = output(capsys, "models", "miniseg-83k")
    assert released.origin in text and f"protocol {released.protocol}" in text


def test_missing_packages_hide_a_network_and_are_named(
    needy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert needy not in [each["name"] for each in items(capsys, "models")]
    assert f"Not shown: {needy}. pip install no-such-package" in output(capsys, "models")
    assert "no-such-package (pip install no-such-package)" in output(capsys, "models", needy)
    assert items(capsys, "models", needy)[0]["params"] is None


def test_plugins_are_listed_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "surprise-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: surprise\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[covbench.models]\nsurprise-net = surprise:build\n")
    (tmp_path / "surprise.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "loaded when named: surprise-net" in output(capsys, "models", "enet,cgnet")
    assert "surprise" not in sys.modules


def test_a_file_of_networks_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "listed.py"
    file.write_text(
        "from torch import nn\n"
        "class Own(nn.Conv2d):\n"
        "    def __init__(self, in_channels, num_classes):\n"
        "        super().__init__(in_channels, num_classes, 1)\n"
    )
    (found,) = items(capsys, "models", str(file))
    assert (found["name"], found["params"], found["source"]) == ("listed", 8, "file")


def test_a_network_that_cannot_be_built_is_still_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "torn.py"
    file.write_text(
        "from covbench import register_model\n"
        "@register_model('torn')\n"
        "def torn(in_channels, num_classes):\n"
        "    return 1 / 0\n"
    )
    assert items(capsys, "models", str(file))[0]["params"] is None
    assert "parameters    unknown" in output(capsys, "models", str(file))


def test_an_unknown_model_gets_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["models", "minisge"]) == 1
    printed = capsys.readouterr()
    problem, remedy = printed.err.splitlines()
    assert "minisge" in problem and "Did you mean miniseg" in remedy and printed.out == ""


def test_listing_datasets_prepares_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = {each["name"]: each["state"] for each in items(capsys, "datasets")}
    assert states["phantom"] == "made at first use" and states["ct100"] == "not prepared"
    assert not data.exists()
    text = output(capsys, "datasets")
    assert "covbench data prepare ct100" in text and str(data) in text


def test_a_prepared_dataset_is_listed_with_its_numbers(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare_dataset("phantom", as_name="tiny", size=16, patients=6, slices=2)
    tiny = {each["name"]: each for each in items(capsys, "datasets")}["tiny"]
    assert tiny["state"] == "prepared" and tiny["path"] == str(data / "tiny")
    assert (tiny["slices"], tiny["groups"], tiny["folds"]) == (12, 6, 5)
    assert tiny["manifest_hash"] == made.manifest_hash
    assert "12 slices, 6 groups, 5 folds" in output(capsys, "datasets")


def test_a_dataset_with_too_few_groups_has_no_folds(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_dataset("phantom", as_name="pair", size=16, patients=2, slices=4)
    pair = {each["name"]: each for each in items(capsys, "datasets")}["pair"]
    assert pair["folds"] is None
    assert "8 slices, 2 groups, no folds" in output(capsys, "datasets")


def test_a_damaged_dataset_is_called_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_dataset("phantom", as_name="tiny", size=16, patients=2, slices=1)
    (data / "tiny" / "images.raw").write_bytes(b"")
    states = {each["name"]: each["state"] for each in items(capsys, "datasets")}
    assert states["tiny"] == "damaged"


def test_protocols_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = list_protocols()
    assert [each["name"] for each in items(capsys, "protocols")] == [p.name for p in shipped]
    text = output(capsys, "protocols")
    assert all(f"{p.name} " in text and p.description in text for p in shipped)


@pytest.mark.parametrize("name", [protocol.name for protocol in list_protocols()])
def test_a_protocol_is_shown_as_a_file_that_loads_as_the_same(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(capsys, "protocols", name)
    assert tomllib.loads(text)["name"] == name
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    assert load_protocol(file) == load_protocol(name)
    (shown,) = items(capsys, "protocols", name)
    assert shown == load_protocol(name).model_dump(mode="json")


def test_an_unknown_protocol_gets_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["protocols", "smok"]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert "smok" in problem and "smoke" in remedy
