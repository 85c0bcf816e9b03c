from __future__ import annotations

import ast
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest
from torch import nn

from zoo import plugins, registry, source
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.registry import cards, find, get_card
from zoo.source import normalise, source_files, source_hash

ZOO = Path(source.__file__).parent
SMP = [ZOO / "encoders.py", ZOO / "nets" / "smp.py"]

NET = '''"""A network."""

from torch import nn

from covbench import register_model


# What follows is registered.
@register_model("hashed", paper="Über", year=2026, divisor=8)
def hashed(in_channels, num_classes):
    """Build it."""
    text = "kept  # not a comment"
    return nn.Conv2d(in_channels, num_classes, 3)  # three by three
'''


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_cards", cards())
    monkeypatch.setattr(plugins, "_files", {})


def _hash(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    (card,) = find(str(path))
    return source_hash(card)


def test_normalise_keeps_code_alone() -> None:
    assert normalise(NET).splitlines() == [
        "from torch import nn",
        "from covbench import register_model",
        "@",
        "def hashed(in_channels, num_classes):",
        '    text = "kept  # not a comment"',
        "    return nn.Conv2d(in_channels, num_classes, 3)",
    ]


def test_normalise_counts_characters_and_not_bytes() -> None:
    text = 'x = "äöü€"  # é\nclass A:\n    "ß"; y = "é"\n'
    assert normalise(text) == 'x = "äöü€"\nclass A:\n    ; y = "é"'


def test_normalise_survives_odd_line_ends_inside_strings() -> None:
    text = 'x = "a\x0cb\u2028c"  # gone\ny = 1  # gone\n'
    assert normalise(text) == 'x = "a\x0cb\u2028c"\ny = 1'


def test_normalise_drops_comments_inside_a_registration() -> None:
    text = "@z.register_model(  # a\n    'n',  # b\n    year=1,\n)  # c\n@other(1)\nclass A: pass\n"
    assert normalise(text) == "@\n@other(1)\nclass A: pass"


def _meaning(tree: ast.Module) -> str:
    """A program without its docstrings and registrations, as this Python prints it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            if not isinstance(node, ast.Module):
                node.body = node.body or [ast.Pass()]
                names = [ast.unparse(each) for each in node.decorator_list]
                node.decorator_list = [
                    each
                    for each, name in zip(node.decorator_list, names, strict=True)
                    if not name.startswith("register_model(")
                ]
    return ast.unparse(tree)


@pytest.mark.parametrize("path", sorted(ZOO.rglob("*.py")), ids=lambda path: path.stem)
def test_normalised_text_of_the_zoo_is_still_the_same_program(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # What is left of a cut is a lone "@", and nothing where a body was a docstring alone.
    lines = [line for line in normalise(text).splitlines() if line.strip() != "@"]
    wanted = _meaning(ast.parse(text))
    for i, line in enumerate(lines):
        after = lines[i + 1] if i + 1 < len(lines) else ""
        if line.endswith(":") and line.lstrip().startswith(("class ", "def ")):
            depth = len(line) - len(line.lstrip())
            if len(after) - len(after.lstrip()) <= depth:
                lines[i] = line + " pass"
    assert _meaning(ast.parse("\n".join(lines))) == wanted


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("# three by three", "# 3x3"),
        lambda text: text.replace('"""Build it."""', '"""Build\n    something\n    """'),
        lambda text: text.replace("Über", "Another title").replace("2026", "2025"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n\n", "\n\n\n\n"),
        lambda text: text.replace("(in_channels, num_classes):", "(in_channels, num_classes):   "),
        lambda text: "\ufeff" + text,
    ],
)
def test_what_changes_no_number_keeps_the_hash(tmp_path: Path, change: object) -> None:
    assert callable(change)
    before = _hash(tmp_path / "net.py", NET)
    assert _hash(tmp_path / "net.py", change(NET)) == before


def test_the_hash_does_not_depend_on_the_place(tmp_path: Path) -> None:
    before = _hash(tmp_path / "net.py", NET)
    registry.forget(get_card("hashed").module)
    assert _hash(tmp_path / "other.py", NET) == before


@pytest.mark.parametrize(
    "change",
    [
        ("num_classes, 3)", "num_classes, 5)"),
        ("kept  #", "kept #"),
        ("divisor=8", "divisor=16"),
        ("# What follows", "x = 1\n# What follows"),
        ("from torch import nn", "from torch import nn\nimport timm"),
        ("from torch import nn", "from torch import nn\nimport zoo.spectral"),
    ],
)
def test_what_changes_numbers_changes_the_hash(tmp_path: Path, change: tuple[str, str]) -> None:
    assert _hash(tmp_path / "net.py", NET) != _hash(tmp_path / "net.py", NET.replace(*change))


def test_the_library_version_is_part_of_a_library_network(monkeypatch: pytest.MonkeyPatch) -> None:
    card = get_card("smp:unet/resnet34")
    before = source_hash(card)
    assert source_hash(card) == before
    real = metadata.version
    for package in ("segmentation-models-pytorch", "timm"):
        changed = partial(_version, real, package)
        monkeypatch.setattr(metadata, "version", changed)
        assert source_hash(card) != before
        monkeypatch.undo()
    monkeypatch.setattr(metadata, "version", partial(_version, real, "torch"))
    assert source_hash(card) == before


def _version(real: object, package: str, asked: str) -> str:
    assert callable(real)
    return "999" if asked == package else str(real(asked))


def test_files_of_a_builtin_network() -> None:
    assert source_files(get_card("smp:unet/resnet34")) == SMP


def test_files_follow_imports_inside_the_zoo_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path.resolve() / "zoo"
    (root / "nets").mkdir(parents=True)
    (root / "kit").mkdir()
    for name, text in {
        "__init__": "import zoo.unused",
        "nets/__init__": "",
        "nets/a": "from zoo.nets import b\nfrom zoo.registry import x\nimport zoo.kit, torch",
        "nets/b": "def f():\n    from ..blocks import conv\n    from . import c\n",
        "nets/c": "from zoo.nets.a import again",
        "blocks": "from zoo.errors import x\n",
        "kit/__init__": "from .deep import x",
        "kit/deep": "",
        "registry": "import zoo.unused",
        "errors": "",
        "unused": "",
    }.items():
        (root / f"{name}.py").write_text(text + "\n")
    user = tmp_path / "user.py"
    user.write_text("import zoo.nets.a\nfrom torch import nn\nclass Net(nn.Conv2d): ...\n")
    machinery = {
        root / f"{name}.py" for name in ("__init__", "nets/__init__", "registry", "errors")
    }
    monkeypatch.setattr(source, "_ROOT", root)
    monkeypatch.setattr(source, "_MACHINERY", machinery)
    monkeypatch.setattr(source, "_file", lambda module: user.resolve())
    found = source_files(Card("net", nn.Identity))
    names = [path.relative_to(tmp_path.resolve()).as_posix() for path in found]
    assert names == [
        "user.py",
        "zoo/blocks.py",
        "zoo/kit/__init__.py",
        "zoo/kit/deep.py",
        "zoo/nets/a.py",
        "zoo/nets/b.py",
        "zoo/nets/c.py",
    ]


def test_a_partial_belongs_to_the_file_that_registers_it_and_to_its_builder(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wide.py"
    path.write_text(
        "from functools import partial\n"
        "from covbench import register_model\n"
        "from zoo.nets.smp import _build\n"
        "register_model('wide')(partial(_build, 'unet', 'resnet18'))\n"
    )
    (card,) = find(str(path))
    assert source_files(card) == [path.resolve(), *SMP]


def test_a_network_of_a_notebook_is_identified_by_its_own_source() -> None:
    def typed(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes, 1)

    def other(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes, 3)

    for builder in (typed, other):
        builder.__module__ = "no_such_module"
    hashes = {source_hash(Card("x", builder)) for builder in (typed, other)}
    assert len(hashes) == 2
    assert source_files(Card("x", typed)) == []


def test_a_network_without_source_is_refused() -> None:
    scope: dict[str, object] = {"__name__": "no_such_module"}
    exec("def ghost(in_channels, num_classes): return None", scope)
    with pytest.raises(CovbenchError, match="source of 'ghost' can't be read"):
        source_hash(Card("ghost", scope["ghost"]))  # type: ignore[arg-type]
