"""`covbench new`: a network to start from, and its test."""

from __future__ import annotations

import keyword
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError

_NETWORK = '''\
from torch import nn

from covbench import register_model


@register_model("{name}", paper="", year={year}, divisor=2)
def {name}(in_channels: int, num_classes: int, *, width: int = 32) -> nn.Module:
    """(N, in_channels, H, W) in, (N, num_classes, H, W) logits out."""
    down = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
    context = nn.Conv2d(width, width, 3, padding=4, dilation=4)
    up = nn.ConvTranspose2d(width, num_classes, 2, stride=2)
    return nn.Sequential(down, nn.BatchNorm2d(width), nn.ReLU(), context, nn.ReLU(), up)
'''

_TEST = """\
from pathlib import Path

from covbench import check_model


def test_{name}_keeps_the_contract() -> None:
    results = check_model(str(Path(__file__).with_name("{name}.py")))
    broken = [f"{{each.clause}}: {{each.detail}}" for each in results if not each.passed]
    assert not broken, "\\n".join(broken)
"""


def new(
    name: Annotated[str, typer.Argument(help="Name of the network: letters, digits and _.")],
    folder: Annotated[Path, typer.Option(help="Where to write its two files.")] = Path(),
) -> int:
    """Write a small working network, NAME.py, and its test, test_NAME.py."""
    import datetime

    _check_name(name)
    files = {folder / f"{name}.py": _NETWORK, folder / f"test_{name}.py": _TEST}
    for path in files:
        if path.exists():
            raise CovbenchError(
                f"{path} exists and is left as it is.", "Choose another name or --folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    year = datetime.date.today().year
    for path, text in files.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text.format(name=name, year=year))
    console = options.messages()
    network, test = (_as_argument(path) for path in files)
    for line in (
        f"Written: {network}, {test}",
        "Next:",
        f"  covbench check {network}",
        f"  covbench run --models {network} --protocol smoke",
        f"  python -m pytest {test}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _as_argument(path: Path) -> str:
    """A path as a command takes it, recognisable as a file."""
    text = str(path)
    return shlex.quote(text if path.is_absolute() or text.startswith("..") else f"./{text}")


def _check_name(name: str) -> None:
    """Refuse what Python or covbench could not use as a name."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise CovbenchError(
            f"{name!r} can't be the name of a Python function.",
            f"Use letters, digits and _, such as: covbench new {_suggest(name)}",
        )
    from importlib.util import find_spec

    from zoo.registry import cards

    if name in cards():
        raise CovbenchError(
            f"{name!r} is a network of covbench.", f"Choose another name, such as my_{name}."
        )
    if find_spec(name) is not None:
        raise CovbenchError(
            f"{name!r} is a Python module, which {name}.py would hide.",
            f"Choose another name, such as my_{name}.",
        )


def _suggest(name: str) -> str:
    """The nearest Python identifier."""
    word = re.sub(r"\W+", "_", name.removesuffix(".py")).strip("_")
    if not word or not word.isidentifier() or keyword.iskeyword(word):
        word = f"net_{word}".rstrip("_")
    return word if word.isidentifier() else "mynet"
