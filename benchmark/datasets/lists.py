"""Folds of a user's own: lists in the form that MiniSeg's repository has in `dataList/`.

`train0.txt` and `val0.txt` are fold 1, `train1.txt` and `val1.txt` fold 2. Each line names an
image, and after it perhaps its mask. Which slice is meant shows in the words and numbers at the end
of the name: `P9/im/1_12.png` is the slice `medseg9-1-0012`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from benchmark.datasets.folds import FoldList
from zoo.errors import CovbenchError
from zoo.limits import read_limited

FOLDS = "folds.json"
"""The file of a prepared dataset that keeps them."""

Key = tuple[str, ...]


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
