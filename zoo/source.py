"""The identity of a network's source: what must be the same for a recorded number to stand.

Comments, docstrings, blank lines and what `@register_model(...)` says for people are left out, so
that a corrected remark makes no result stale. Text is cut by position and never printed anew by
`ast`, hence the hash is the same on every Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import sys
import textwrap
import tokenize
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from zoo.cards import Card
from zoo.errors import CovbenchError

_ROOT = Path(__file__).resolve().parent
_MACHINERY = frozenset(
    _ROOT / f"{name}.py"
    for name in (
        *("__init__", "nets/__init__", "registry", "cards", "errors", "selection", "plugins"),
        *("contract", "clauses", "source"),
    )
)
# Their classes are the network; torch and torchvision are recorded with the environment.
_LIBRARIES = {
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "timm": "timm",
    "monai": "monai",
}
_LICENCES = {
    "torchvision": "BSD-3-Clause (torchvision)",
    "segmentation_models_pytorch": "MIT (segmentation-models-pytorch)",
    "timm": "Apache-2.0 (timm)",
    "monai": "Apache-2.0 (MONAI)",
}
"""What licences the code of other people is under that networks are built of."""


def licences(card: Card) -> tuple[str, ...]:
    """The licences of a built-in network's code: ours, and those of the libraries it imports.

    Args:
        card: The network.

    Returns:
        Each as `MIT (segmentation-models-pytorch)`; none for a plug-in, whose author decides.
    """
    if card.source not in ("built-in", "pattern"):
        return ()
    imported = {name for path in source_files(card) for name in _imports(_read(path))}
    return (
        "Apache-2.0 (covbench)",
        *(text for name, text in _LICENCES.items() if name in imported),
    )


def source_hash(card: Card) -> str:
    """Identify everything of ours and of the user's that a network is computed by.

    Args:
        card: The network.

    Returns:
        SHA-256 in hexadecimal over the normalised text of its source files, the size limits on its
        card, the versions of segmentation-models-pytorch, timm and MONAI where those files import
        them, and the version of the package that an entry point belongs to.

    Raises:
        CovbenchError: There is no source to read.
    """
    files = source_files(card)
    texts = [_read(path) for path in files] or [_session_source(card)]
    digest = hashlib.sha256()
    for text in texts:
        digest.update(normalise(text).encode() + b"\0")
    libraries = {name for text in texts for name in _imports(text) if name in _LIBRARIES}
    facts = [f"divisor={card.divisor}", f"min_size={card.min_size}"]
    facts += [f"{_LIBRARIES[name]}={metadata.version(_LIBRARIES[name])}" for name in libraries]
    if card.source == "entry point":
        facts += _distributions(card)
    digest.update("\n".join(sorted(facts)).encode())
    return digest.hexdigest()


def source_files(card: Card) -> list[Path]:
    """The files that a network's hash is taken over.

    Args:
        card: The network.

    Returns:
        The file that registers it, the file that defines its builder, and what those import from
        `zoo`, directly or not, in the order of their paths inside `zoo`, a plug-in's own first;
        none for a network that was defined in a notebook.
    """
    builder: Any = inspect.unwrap(card.builder)
    while isinstance(builder, functools.partial):
        builder = builder.func
    pending = [
        file
        for module in (card.module, getattr(builder, "__module__", ""))
        if (file := _file(sys.modules.get(module))) is not None
    ]
    # A builder from an installed library is that library's matter, as its other modules are.
    pending = [file for file in pending if _is_ours(file) or file == pending[0]]
    found: set[Path] = set()
    while pending:
        file = pending.pop()
        if file in found or file in _MACHINERY:
            continue
        found.add(file)
        package = file.relative_to(_ROOT.parent).parent.parts if _is_ours(file) else ()
        for name in _imports(_read(file), package):
            pending += _zoo_file(name)
    return sorted(found, key=lambda file: (_is_ours(file), file.as_posix()))


def normalise(text: str) -> str:
    """Python source without comments, docstrings, `@register_model(...)` and blank lines."""
    lines = text.split("\n")  # as tokenize and ast count them; splitlines knows other ends too
    cuts: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            cuts.append((token.start, token.end))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                cuts.append(_span(node.body[0], lines))
            cuts += [
                _span(decorator, lines)
                for decorator in getattr(node, "decorator_list", ())
                if _is_registration(decorator)
            ]
    for (first, start), (last, end) in sorted(cuts, reverse=True):
        head, tail = lines[first - 1][:start], lines[last - 1][end:]
        lines[first - 1 : last] = [head + tail] + [""] * (last - first)
    return "\n".join(line for each in lines if (line := each.rstrip()))


def _read(path: Path) -> str:
    """The text of a source file, decoded as Python does, lines ending in newlines."""
    with tokenize.open(path) as file:
        return file.read()


def _span(node: ast.AST, lines: list[str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a node begins and ends, in lines from 1 and characters; `ast` counts bytes."""
    first, start = node.lineno, node.col_offset  # type: ignore[attr-defined]
    last, end = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
    head = lines[first - 1].encode()[:start].decode()
    return (first, len(head)), (last, len(lines[last - 1].encode()[:end].decode()))


def _is_registration(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return False
    return ast.unparse(decorator.func).rpartition(".")[2] == "register_model"


def _imports(text: str, package: tuple[str, ...] = ()) -> set[str]:
    """The full names of what a source imports anywhere in it, modules and their members alike."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names | {name.partition(".")[0] for name in names}


def _zoo_file(name: str) -> list[Path]:
    """The file of a module of `zoo`, if the name is one."""
    parts = name.split(".")
    if parts[0] != "zoo":
        return []
    stem = _ROOT.joinpath(*parts[1:])
    return [file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()]


def _is_ours(file: Path) -> bool:
    return file.is_relative_to(_ROOT)


def _file(module: ModuleType | None) -> Path | None:
    """The source file of a module, if it has one."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def _session_source(card: Card) -> str:
    """The source of a network that was typed into a session."""
    try:
        text = textwrap.dedent(inspect.getsource(card.builder))
        # From Python 3.13 on, what `exec` made has the text of `python -c` for its source.
        if getattr(card.builder, "__name__", "").strip("<>") not in text:
            raise OSError("this is the source of something else")
        return text
    except (OSError, TypeError) as error:
        raise CovbenchError(
            f"The source of {card.name!r} can't be read, so its runs could not be recognised.",
            "Write it into a file and select that: ./my_net.py",
        ) from error


def _distributions(card: Card) -> list[str]:
    """The installed packages that hold an entry point's module, with their versions."""
    owners = metadata.packages_distributions().get(card.module.partition(".")[0], [])
    return [f"{owner}={metadata.version(owner)}" for owner in set(owners)]
