from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from zoo import registry, selection
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.selection import Row, Scalar, list_models, passed_over, select


def _net(in_channels: int, num_classes: int) -> nn.Module:
    return nn.Conv2d(in_channels, num_classes, 1)


def _tunable(
    in_channels: int,
    num_classes: int,
    *,
    strict: bool = False,
    depth: int = 4,
    rate: float = 0.5,
    kind: str = "plain",
    weights: str | None = None,
    widths: tuple[int, ...] = (1, 2),
) -> nn.Module:
    return nn.Conv2d(in_channels, num_classes, 1)


@pytest.fixture(autouse=True)
def _small_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    def card(name: str, builder: Any = _net, **about: Any) -> Card:
        return Card(name, builder, **{"source": "built-in", **about})

    small = [
        card("unet", tags=frozenset({"table"})),
        card("miniseg", _tunable, tags=frozenset({"table", "demo"})),
        card("miniseg-83k", tags=frozenset({"demo"})),
        card("enet"),
        card("needy", requires=("no-such-package",), tags=frozenset({"demo", "alone"})),
        card("mine", source="session"),
        card("theirs", source="file", tags=frozenset({"table"})),
    ]
    registry.cards()
    monkeypatch.setattr(registry, "_cards", {each.name: each for each in small})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unet", ["unet"]),
        ("unet,enet", ["unet", "enet"]),
        (" unet , enet ,", ["unet", "enet"]),
        ("unet,enet,unet", ["unet", "enet"]),
        (["unet", "enet,miniseg"], ["unet", "enet", "miniseg"]),
        ("all", ["enet", "miniseg", "miniseg-83k", "unet"]),
        ("miniseg*", ["miniseg", "miniseg-83k"]),
        ("?net", ["enet", "unet"]),
        ("@demo", ["miniseg", "miniseg-83k"]),
        ("@table", ["miniseg", "theirs", "unet"]),
        ("mine", ["mine"]),
        ("m*", ["mine", "miniseg", "miniseg-83k"]),
        ("unet,all", ["unet", "enet", "miniseg", "miniseg-83k"]),
        ("all,!unet", ["enet", "miniseg", "miniseg-83k"]),
        ("!unet,all", ["enet", "miniseg", "miniseg-83k"]),
        (["!unet", "all"], ["enet", "miniseg", "miniseg-83k"]),
        ("!unet", ["enet", "miniseg", "miniseg-83k"]),
        ("!miniseg*,!enet", ["unet"]),
        ("all,!@demo", ["enet", "unet"]),
        ("miniseg[strict=true]", ["miniseg[strict=true]"]),
        ("miniseg[ strict = TRUE , depth=5 ]", ["miniseg[depth=5,strict=true]"]),
        ("miniseg,miniseg[depth=5]", ["miniseg", "miniseg[depth=5]"]),
        ("miniseg[depth=5],miniseg[depth=05]", ["miniseg[depth=5]"]),
        ("miniseg[depth=4,strict=false,weights=none],miniseg", ["miniseg"]),
        ("miniseg,miniseg[depth=5],!miniseg[depth=5]", ["miniseg"]),
        ("miniseg,miniseg[depth=5],!miniseg[depth=4]", ["miniseg[depth=5]"]),
        ("unet,miniseg,miniseg[depth=5],!miniseg", ["unet"]),
        ("@demo,!needy", ["miniseg", "miniseg-83k"]),
        ("@demo,!need*", ["miniseg", "miniseg-83k"]),
    ],
)
def test_selection(text: str | Sequence[str], expected: list[str]) -> None:
    assert list_models(text) == expected


def test_all_is_the_default() -> None:
    assert list_models() == list_models("all")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("strict=true", True),
        ("depth=7", 7),
        ("rate=1", 1.0),
        ("rate=1e-3", 0.001),
        ("kind=7", "7"),
        ("weights=imagenet", "imagenet"),
        ("weights=3", 3),
        ("weights=0.5", 0.5),
        ("weights=true", True),
    ],
)
def test_options_get_the_type_of_their_default(text: str, value: Scalar) -> None:
    (row,) = select(f"miniseg[{text}]")
    assert row == Row("miniseg", ((text.partition("=")[0], value),))
    assert type(row.options[0][1]) is type(value)
    assert select(row.label) == [row]


def test_options_are_in_one_order_whatever_the_users() -> None:
    one, two = select("miniseg[depth=5,rate=0.1]"), select("miniseg[rate=0.1,depth=5]")
    assert one == two
    assert one[0].label == "miniseg[depth=5,rate=0.1]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" , ", "is empty"),
        ([], "is empty"),
        ("!*", "leaves no model"),
        ("unet,!unet", "leaves no model"),
        ("unett", "Unknown model 'unett'.\nDid you mean unet"),
        ("!unett", "Unknown model 'unett'"),
        ("minisge*", "Unknown model pattern 'minisge*'.\nDid you mean miniseg"),
        ("@dmeo", "Unknown tag 'dmeo'.\nDid you mean demo"),
        ("needy", "pip install no-such-package"),
        ("need*", "All that 'need*' means needs what is not installed: no-such-package.\npip inst"),
        ("unet,@alone", "All that '@alone' means needs what is not installed: no-such-package.\n"),
        ("miniseg[strct=true]", "Unknown option of miniseg 'strct'.\nDid you mean strict"),
        ("unet[strict=true]", "Unknown option of unet 'strict'"),
        ("miniseg[strict=yes]", "'yes' is no value for miniseg[strict=...].\nIt must be true or"),
        ("miniseg[depth=4.5]", "a whole number"),
        ("miniseg[depth=true]", "a whole number"),
        ("miniseg[rate=fast]", "a number"),
        ("miniseg[rate=nan]", "a number"),
        ("miniseg[widths=3]", "set in Python"),
        ("miniseg[depth]", "can't be read"),
        ("miniseg[depth=]", "can't be read"),
        ("miniseg[=3]", "can't be read"),
        ("miniseg[]", "can't be read"),
        ("miniseg[depth=5", "can't be read"),
        ("miniseg]depth=5[", "can't be read"),
        ("miniseg[depth=5]x", "can't be read"),
        ("miniseg[depth=5,depth=6]", "given twice"),
    ],
)
def test_mistakes(text: str | Sequence[str], problem: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        select(text)
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("@demo", ["needy"]),
        ("unet,need*", ["needy"]),
        ("all,@demo", ["needy"]),
        ("!unet", ["needy"]),
        ("@demo[depth=5]", ["needy"]),
        ("unet", []),
        ("@table", []),
        ("@demo,!needy", []),
        ("all,!@alone", []),
        ("!*", []),
    ],
)
def test_what_groups_pass_over_is_told_with_its_packages(text: str, left_out: list[str]) -> None:
    assert passed_over(text) == {name: ["no-such-package"] for name in left_out}


def test_a_file_may_be_selected_and_has_options(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    file.write_text(
        "from covbench import register_model\n"
        "from torch import nn\n"
        "def net(in_channels, num_classes, *, size=1):\n"
        "    return nn.Conv2d(in_channels, num_classes, size)\n"
        "register_model('zeta')(net)\n"
        "register_model('alpha')(net)\n"
    )
    assert list_models(f"unet,{file}") == ["unet", "zeta", "alpha"]
    assert list_models(f"{file}[size=3],unet") == ["zeta[size=3]", "alpha[size=3]", "unet"]
    assert "alpha" not in list_models("all")


def test_globs_and_all_load_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(name: str) -> list[Card]:
        raise AssertionError(name)

    monkeypatch.setattr(selection, "find", never)
    assert list_models("all,m*,@demo,!e*")
