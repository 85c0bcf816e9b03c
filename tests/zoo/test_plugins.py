from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from zoo import plugins, registry
from zoo.errors import CovbenchError
from zoo.plugins import entry_points, is_file, load
from zoo.registry import cards, create_model, find, get_card

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, in_channels: int, num_classes: int, *, size: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, size)
"""
BLOCK = """
class Block(nn.Module):
    pass

def small(in_channels, num_classes):
    return nn.Conv2d(in_channels, num_classes, 1)
"""
DECORATED = """
from covbench import register_model
from torch import nn

@register_model("second", year=2026)
def second(in_channels, num_classes):
    return nn.Conv2d(in_channels, num_classes, 1)

@register_model("first")
class First(nn.Conv2d):
    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes, 3)
"""


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_cards", cards())
    monkeypatch.setattr(plugins, "_files", {})
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith(("covbench_file_", "plugin_for_test")):
            del sys.modules[name]


def _file(folder: Path, text: str, name: str = "my_net.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def _error(name: str) -> str:
    with pytest.raises(CovbenchError) as caught:
        find(name)
    assert len(str(caught.value).splitlines()) == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("./my_net.py", True),
        ("my_net.py", True),
        ("/a/b.py:Net", True),
        ("unet", False),
        ("smp:unet/resnet34", False),
        ("x.py.txt", False),
        ("a.py:b.c", False),
    ],
)
def test_what_is_a_file(name: str, expected: bool) -> None:
    assert is_file(name) is expected


def test_a_file_gives_what_it_registers_in_its_order(tmp_path: Path) -> None:
    file = _file(tmp_path, DECORATED)
    assert load(file) == ["second", "first"]
    card = get_card("second")
    assert (card.source, card.origin, card.year) == ("file", file, 2026)
    assert isinstance(create_model("first", 1, 4), nn.Conv2d)
    assert load(file) == ["second", "first"]


def test_a_file_without_decorator_gives_its_only_network(tmp_path: Path) -> None:
    file = _file(tmp_path, NET)
    (card,) = find(file)
    assert (card.name, card.source, card.origin) == ("my_net", "file", file)
    assert card.options == {"size": 1}
    assert find(file) == [card]
    assert get_card(file) is card


def test_a_class_or_function_of_a_file_may_be_named(tmp_path: Path) -> None:
    file = _file(tmp_path, NET + BLOCK)
    (card,) = find(f"{file}:Net")
    assert (card.name, card.origin) == ("my_net:Net", f"{file}:Net")
    assert [each.name for each in find(f"{file}:small")] == ["my_net:small"]
    assert find(f"{file}:Net") == [card]
    assert isinstance(create_model("my_net:small"), nn.Conv2d)


def test_a_registered_class_keeps_its_registered_name(tmp_path: Path) -> None:
    file = _file(tmp_path, DECORATED)
    assert load(f"{file}:First") == ["first"]


def test_naming_a_class_does_not_make_it_the_files_only_network(tmp_path: Path) -> None:
    file = _file(tmp_path, NET + BLOCK)
    find(f"{file}:small")
    assert "2 classes that could be one" in _error(file)


def test_several_networks_in_one_file_have_no_single_card(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match=r"several networks: second, first"):
        get_card(_file(tmp_path, DECORATED))


def test_an_origin_loads_the_network_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, NET + BLOCK)
    (card,) = find("my_net.py:Net")
    monkeypatch.chdir("/")
    assert load(card.origin) == ["my_net:Net"]


def test_networks_of_a_file_can_be_pickled(tmp_path: Path) -> None:
    load(_file(tmp_path, NET))
    model = create_model("my_net")
    assert type(pickle.loads(pickle.dumps(model))) is type(model)


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = _file(tmp_path, DECORATED)
    load(file)
    _file(tmp_path, DECORATED.replace('"second", year=2026', '"renamed"'))
    assert load(file) == ["renamed", "first"]
    assert "second" not in cards()


def test_a_missing_file(tmp_path: Path) -> None:
    assert f"There is no file {tmp_path}/none.py." in _error(f"{tmp_path}/none.py")
    (tmp_path / "folder.py").mkdir()
    assert "There is no file" in _error(f"{tmp_path}/folder.py")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import os\n\ndef broken(:\n    pass\n", 3, "SyntaxError: invalid syntax"),
        ("a = 1\nb = a / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("def f():\n    return [][0]\n\nf()\n", 2, "IndexError"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("\nimport no_such_module\n", 2, "Install no_such_module"),
        ("\n\nraise SystemExit('usage')\n", 3, "SystemExit: usage"),
        ("raise ValueError\n", 1, "ValueError.\n"),
    ],
)
def test_a_file_that_raises_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    file = _file(tmp_path, text)
    message = _error(file)
    assert message.startswith(f"{file}, line {line}: ")
    assert words in message
    assert not [name for name in sys.modules if name.startswith("covbench_file_my_net")]


def test_a_file_that_raises_late_leaves_no_network_behind(tmp_path: Path) -> None:
    file = _file(tmp_path, DECORATED + "\nraise ValueError('late')\n")
    assert "line 14: ValueError: late" in _error(file)
    assert "second" not in cards()
    _file(tmp_path, DECORATED)
    assert load(file) == ["second", "first"]


def test_a_file_without_network(tmp_path: Path) -> None:
    file = _file(tmp_path, "from torch.nn import Conv2d\nx = 1\n")
    assert f"There is no network in {file}." in _error(file)


def test_a_file_with_several_classes_asks_for_one(tmp_path: Path) -> None:
    message = _error(_file(tmp_path, NET + BLOCK))
    assert "2 classes" in message
    assert message.endswith("Name one: my_net.py:Net, my_net.py:Block")


def test_an_unknown_class_of_a_file(tmp_path: Path) -> None:
    file = _file(tmp_path, NET + BLOCK)
    assert "Did you mean Net" in _error(f"{file}:Nett")


def test_a_class_with_another_signature(tmp_path: Path) -> None:
    file = _file(tmp_path, NET.replace("in_channels: int, ", ""))
    message = _error(file)
    assert message.startswith(f"{file}: ")
    assert "can't be called with in_channels" in message


def test_a_file_cant_take_a_builtin_name(tmp_path: Path) -> None:
    file = _file(tmp_path, DECORATED.replace('"second"', '"smp:unet/resnet34"'))
    assert _error(file).startswith(f"{file}, line 5: The model name 'smp:unet/resnet34' is taken")
    assert get_card("smp:unet/resnet34").source == "built-in"


def test_the_users_future_is_not_ours(tmp_path: Path) -> None:
    load(_file(tmp_path, NET))
    builder = get_card("my_net").builder
    assert builder.__init__.__annotations__["in_channels"] is int


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that offers networks by entry points."""
    (tmp_path / "plugin_for_test.py").write_text(DECORATED + "\nnumber = 3\n")
    info = tmp_path / "plugin_for_test-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-for-test\nVersion: 1.2\n")
    (info / "RECORD").write_text("plugin_for_test.py,,\n")
    (info / "entry_points.txt").write_text(
        "[covbench.models]\n"
        "first = plugin_for_test:First\n"
        "plain = plugin_for_test:second\n"
        "second = plugin_for_test\n"
        "number = plugin_for_test:number\n"
        "module = plugin_for_test\n"
        "gone = plugin_for_test:gone\n"
        "smp:unet/resnet34 = plugin_for_test:First\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("package")
def test_entry_points_are_listed_without_importing_them() -> None:
    assert {"first", "plain", "second"} <= set(entry_points())
    cards()
    with pytest.raises(CovbenchError, match=r"'frist'.\nDid you mean first"):
        find("frist")
    assert "plugin_for_test" not in sys.modules
    assert "first" not in cards()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["first", "plain", "second"])
def test_an_entry_point_is_loaded_when_it_is_named(name: str) -> None:
    (card,) = find(name)
    assert "plugin_for_test" in sys.modules
    assert (card.name, card.source, card.origin) == (name, "entry point", name)
    assert isinstance(create_model(name), nn.Conv2d)
    assert load(card.origin) == [name]


@pytest.mark.usefixtures("package")
def test_an_entry_point_cant_take_a_builtin_name() -> None:
    assert get_card("smp:unet/resnet34").source == "built-in"
    assert "plugin_for_test" not in sys.modules


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("number", "registers no such network"),
        ("module", "registers no such network"),
        ("gone", "can't be loaded: AttributeError"),
    ],
)
def test_a_broken_entry_point(name: str, problem: str) -> None:
    assert problem in _error(name)


def test_an_entry_point_whose_module_raises(package: Path) -> None:
    (package / "plugin_for_test.py").write_text(DECORATED + "\nraise ValueError('no luck')\n")
    assert "'first' (plugin_for_test:First) can't be loaded: ValueError: no luck." in _error(
        "first"
    )
    assert "second" not in cards()
