"""One case: how its file is made, who reads it, and what must come of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo.errors import CovbenchError, one_line

Expected = Literal["ok", "error", "either"]


@dataclass(frozen=True)
class Case:
    """A hostile file.

    Attributes:
        name: Its name in the table.
        read: What reads it: given the file and a folder that it may write to.
        make: Makes it in a folder and returns its path.
        expected: A right answer, a two-line error, or either (of a flipped bit that may not
            matter).
        says: Words of the error.
        right: Whether an answer is right.
        named: What the error names; the file by default.
    """

    name: str
    read: Callable[[Path, Path], Any]
    make: Callable[[Path], Path]
    expected: Expected = "error"
    says: tuple[str, ...] = ()
    right: Callable[[Any], bool] | None = None
    named: str | None = None


def written(name: str, content: bytes | str | Callable[[], bytes]) -> Callable[[Path], Path]:
    """What makes a file of that name and content; large contents are made when they are needed."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = content() if callable(content) else content
        path.write_bytes(made.encode() if isinstance(made, str) else made)
        return path

    return make


def run_case(case: Case, room: Path) -> str:
    """Make a case's file, read it, and check what comes of it.

    Args:
        case: The case.
        room: An empty folder; nothing but `room/out` may change while the file is read.

    Returns:
        "ok" or the error's two lines.
    """
    source, out = room / "in", room / "out"
    source.mkdir(parents=True)
    out.mkdir()
    path = case.make(source)
    before = listing(room.parent)
    told = "ok"
    try:
        answer = case.read(path, out)
    except CovbenchError as error:
        told = str(error)
        assert case.expected != "ok", told
        check_two_lines(error)
        named = one_line(case.named if case.named is not None else path.name)
        assert named in told, f"it doesn't name {named}: {told}"
        assert not any(out.iterdir()), "a refused file left something behind"
    else:
        assert case.expected != "error", f"it was taken: {answer!r:.200}"
        assert case.right is None or case.right(answer), f"a wrong answer: {answer!r:.200}"
    for word in case.says:
        assert word in told, f"it doesn't say {word!r}: {told}"
    assert listing(room.parent) == before, "a file outside of the target folder"
    return told


def check_two_lines(error: CovbenchError) -> None:
    """An error has a problem and a remedy, one line each, that a terminal can show."""
    lines = str(error).split("\n")
    assert len(lines) == 2 and all(line.strip() for line in lines), str(error)
    assert str(error).replace("\n", "").isprintable(), ascii(str(error))
    assert len(str(error)) < 10_000


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All below a folder but what lies in an `out`: kind, size and time of change."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each != "out"]
        for each in (*folders, *files):
            about = os.lstat(os.path.join(root, each))
            changed = 0 if each in folders else about.st_mtime_ns
            found[os.path.join(root, each)] = (about.st_mode, about.st_size, changed)
    return found


def special_file(name: str, make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def special(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        return path

    return special
