"""Folds as lists: those that ship with covbench, and a user's own.

A user's own have the form that MiniSeg's repository has in `dataList/`.

`train0.txt` and `val0.txt` are fold 1, `train1.txt` and `val1.txt` fold 2. Each line names an
image, and after it perhaps its mask. Which slice is meant shows in the words and numbers at the end
of the name: `P9/im/1_12.png` is the slice `medseg9-1-0012`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from zoo.errors import CovbenchError
from zoo.limits import read_limited

FOLDS = "folds.json"
"""The file of a prepared dataset that keeps them."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class FoldList:
    """Folds as their authors published them, with what identifies the slices.

    `tests` are the ids that each fold is tested on; a fold trains on the ids of all the others,
    so that a slice in no list is in no fold. `groups` are the studies known to span slices, by
    name; `areas` the foreground pixels of each slice, in the order of the slices. `trains` says
    what each fold trains on where that isn't all the others.
    """

    tests: tuple[tuple[str, ...], ...]
    groups: dict[str, tuple[str, ...]]
    areas: tuple[int, ...]
    trains: tuple[tuple[str, ...], ...] | None = None


@cache
def fold_list(name: str) -> FoldList:
    """The list that ships with covbench under a dataset's name.

    Raises:
        CovbenchError: None ships under that name.
    """
    file = files("benchmark.datasets") / f"{name}.toml"
    if not file.is_file():
        raise CovbenchError(
            f"No list of folds named {name!r} ships with this version of covbench.",
            "Prepare the dataset again with `covbench data prepare`, or install a newer version.",
        )
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return FoldList(
        tests=tuple(tuple(_ids(fold)) for fold in table["tests"]),
        groups={group: tuple(_ids(slices)) for group, slices in table["groups"].items()},
        areas=tuple(table["areas"]),
    )


def _ids(slices: Iterable[int | str]) -> list[str]:
    """Numbers of slices as ids; `"SCAN 8-18 25"` stands for slices 8 to 18 and 25 of a scan."""
    ids: list[str] = []
    for entry in slices:
        scan, *spans = entry.split() if isinstance(entry, str) else ("", str(entry))
        for span in spans:
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            ids += [f"{scan}-{number:04d}".lstrip("-") for number in numbers]
    return ids


def find_lists(folder: Path) -> dict[str, Path]:
    """The lists in a folder, by name, in the order of the folds: train and val in turn.

    Raises:
        CovbenchError: There are fewer than two folds, or one of a pair is missing.
    """
    numbers = sorted(
        {int(m[2]) for path in folder.glob("*.txt") if (m := _NAME.fullmatch(path.name))}
    )
    names = [f"{side}{number}.txt" for number in numbers for side in ("train", "val")]
    missing = [name for name in names if not (folder / name).is_file()]
    if len(numbers) < 2 or missing:
        raise CovbenchError(
            f"{folder} lacks {missing[0]}." if missing else f"{folder} holds no lists of folds.",
            "A fold is two lists, such as train0.txt and val0.txt, with one image in each line.",
        )
    return {name: folder / name for name in names}


_NAME = re.compile(r"(train|val)(\d{1,3})\.txt")


def match_lists(lists: dict[str, Path], ids: Iterable[str], prefix: str) -> FoldList:
    """The folds that lists name.

    Args:
        lists: See `find_lists`.
        ids: The ids of a dataset's slices.
        prefix: What ids may begin with that no list does: a dataset's name.

    Raises:
        CovbenchError: A list can't be read, names no slice or one of both sides, or several
            slices fit a name.
    """
    by_key: dict[Key, str] = {}
    for name in ids:
        key = _key(name.removeprefix(f"{prefix}-"))
        by_key[key] = "" if key in by_key else name
    sides = [(path, _read(path, by_key)) for path in lists.values()]
    trains, tests = sides[::2], sides[1::2]
    for (_, train), (path, test) in zip(trains, tests, strict=True):
        if both := sorted({*train} & {*test}):
            raise CovbenchError(
                f"{path} tests on {both[0]}, which the same fold trains on.", "Mend the lists."
            )
    return FoldList(
        tests=tuple(test for _, test in tests),
        groups={},
        areas=(),
        trains=tuple(train for _, train in trains),
    )


def _read(path: Path, by_key: dict[Key, str]) -> Key:
    """The ids that a list names."""
    try:
        lines = read_limited(path, "table_bytes").decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CovbenchError(f"{path} can't be read ({error}).", "Check the file.") from error
    found: list[str] = []
    longest = max(map(len, by_key), default=0)  # words before them are folders
    for line in filter(str.strip, lines):
        image = line.split()[0]
        key = _key(re.sub(r"\.\w+$", "", image.replace("\\", "/")))
        key = key[-longest:] if longest else ()
        name = next((by_key[key[i:]] for i in range(len(key)) if key[i:] in by_key), None)
        if not name:
            some = next(iter(by_key.values()), "")
            what = "no slice" if name is None else "several slices"
            raise CovbenchError(
                f"{path} names {image}, and {what} of the dataset can be meant.",
                f"The end of a name must be that of an id, such as {some}.",
            )
        found.append(name)
    if not found or len(set(found)) < len(found):
        raise CovbenchError(f"{path} is empty or names a slice twice.", "Mend the list.")
    return tuple(sorted(found))


def _key(name: str) -> Key:
    """Words in small letters and numbers without leading zeros."""
    parts = re.findall(r"[a-z]+|\d+", name.lower())
    return tuple(part.lstrip("0") or "0" for part in parts if part != "slice")


_KEPT = TypeAdapter(dict[Literal["train", "test"], tuple[tuple[str, ...], ...]])


def lists_as_json(folds: FoldList) -> bytes:
    """What a prepared dataset keeps of the lists."""
    return json.dumps({"train": folds.trains, "test": folds.tests}, indent=1).encode()


def lists_from_json(text: bytes) -> FoldList:
    """What `lists_as_json` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        kept = _KEPT.validate_json(text)
    except ValidationError as error:
        raise ValueError("it holds no folds") from error
    trains, tests = kept["train"], kept["test"]
    if len(trains) != len(tests) or not trains:
        raise ValueError("it holds no folds")
    return FoldList(tests, {}, (), trains)
