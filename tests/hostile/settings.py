"""Hostile settings and tables: protocols, recipes, layouts, machines' profiles, printed tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmark.pretraining import load_recipe
from benchmark.protocols import load_protocol
from reports.tables.layout import load_layout
from results.machines import machine_names, read_profile
from results.published import read_rows
from runners.executors.profile import load_profile
from tests.hostile.case import Case, special_file, written
from zoo.errors import one_line


def protocol(path: Path, out: Path) -> Any:
    return load_protocol(path)


def recipe(path: Path, out: Path) -> Any:
    return load_recipe(path)


def layout(path: Path, out: Path) -> Any:
    return load_layout(str(path))


def profile(path: Path, out: Path) -> Any:
    return read_profile(path)


def slurm(path: Path, out: Path) -> Any:
    return load_profile(path)


def printed(path: Path, out: Path) -> Any:
    return read_rows(path)


def overridden(*words: str) -> Callable[[Path, Path], Any]:
    return lambda path, out: load_protocol(path, list(words))


def _toml() -> Iterator[Case]:
    for kind, read in (
        ("protocol", protocol),
        ("recipe", recipe),
        ("layout", layout),
        ("slurm profile", slurm),
    ):
        make = f"{kind}.toml"
        for name, text, *says in (
            ("of lists in lists", "name = " + "[" * 100_000),
            ("of a few hundred lists", "name = " + "[" * 200 + "]" * 200, "nested"),
            ("of tables in tables", "[" + ".".join("a" * 1 for _ in range(500)) + "]", "nested"),
            ("of keys in keys", ".".join(["a"] * 200_000) + " = 1", "nested"),
            ("with a number of 5,000 digits", "[optim]\nepochs = " + "9" * 5000),
            ("with a key twice", 'name = "a"\nname = "b"'),
            ("with a table twice", "[input]\n[input]"),
            ("cut", '[input]\nsize = "'),
            ("with a byte of zero", "name = '\0'"),
            ("that is no text", b"\xff\xfe\0"),
            ("in UTF-16", "name = 'a'".encode("utf-16")),
            ("that is JSON", '{"name": 1}'),
            ("with an unknown section", "[nonsense]\na = 1"),
            ("with a section that is a number", "input = 5\ncolumns = 5"),
            ("with a name that is a number", "name = 5"),
            (
                "with a name of 900,000 characters",
                "title = 7\nname = '" + "x" * 900_000 + "'\n[zzz]",
            ),
            ("with an unknown key of 500,000 characters", "k" * 500_000 + " = 1"),
            ("with a date", "[input]\nsize = 1979-05-27"),
            ("with an escape in a key", '"\\u001b[2J" = 1'),
        ):
            yield Case(f"{kind} {name}", read, written(make, text), says=tuple(says))
        large = written(make, lambda: b"# " + b"x" * 10**8)
        yield Case(f"{kind} of 100 MB", read, large, says=("--limit settings_bytes=",))
        yield Case(f"{kind} that is missing", read, lambda folder, make=make: folder / make)
        yield Case(f"{kind} that is a pipe", read, special_file(make, os.mkfifo))
        yield Case(f"{kind} that is a folder", read, special_file(make, os.mkdir))
        yield Case(
            f"{kind} that leads to /dev/zero",
            read,
            special_file(make, lambda path: os.symlink("/dev/zero", path)),
        )
    for text in (
        "[input]\nsize = 0",
        "[input]\nsize = -1",
        "[input]\nsize = 1e400",
        "[optim]\nlr = nan",
        "[optim]\nlr = inf",
        "[optim]\nepochs = 100000000000000000000",
        "[optim]\nbatch = true",
        "[split]\nfolds = 1000000",
        "[split]\nseeds = []",
        "[score]\nsize = 'x'",
        "[augment]\nsizes = [nan]",
        "[loss]\nname = '<b>'",
        "[input]\nsize = '" + "9" * 300 + "'",
        "[split]\nseeds = [" + "1," * 1000 + "]",
    ):
        yield Case(f"protocol {text[:30]!r}", protocol, written("protocol.toml", text))
    name = "<script>|\\textbf{&}"
    named = written("protocol.toml", f"name = '{name}'")
    yield Case(
        "protocol with markup for a name",
        protocol,
        named,
        "ok",
        right=lambda found: found.name == name,
    )
    for word in (
        "[" * 5000,
        "a" * 10_000,
        "epochs=" + "[" * 5000,
        "epochs=" + "9" * 5000,
        "=",
        "==",
        "epochs",
        "lr=nan",
        "x.y.z=1",
        "size=\x1b[2J",
        "seeds=1..5",
        "name=\ud800",
    ):
        key = one_line(word.partition("=")[0][:20].strip("[")) or ""
        yield Case(
            f"--set {word[:20]!r}",
            overridden(word),
            written("protocol.toml", ""),
            named=key if "=" in word or key.isalpha() else "",
        )
    for text in ("\ufeffname = 'a'", "name = 'a'\r\n", "# only a remark", ""):
        yield Case(f"protocol {text!r}", protocol, written("protocol.toml", text), "either")


def _tables() -> Iterator[Case]:
    shipped = (
        Path(read_profile.__code__.co_filename).parent / "machines" / f"{machine_names()[0]}.json"
    )
    good = shipped.read_bytes()
    for share in (0, 1, 20, 60, 99):
        yield Case(
            f"profile cut to {share} %",
            profile,
            written("a.json", good[: len(good) * share // 100]),
        )
    yield Case("profile", profile, written("a.json", good), "ok")
    for name, text in (
        ("of a newer schema", good.replace(b'"schema": 1', b'"schema": 2', 1)),
        ("that is nested", b"[" * 10**6),
        ("of tables in tables", b'{"a":' * 10**5),
        ("that is a list", b"[]"),
        ("that is null", b"null"),
        ("that is no text", b"\xff\xfe"),
        ("with a number of 5,000 digits", b'{"schema": ' + b"1" * 5000 + b"}"),
        ("with an unknown field", good.replace(b"{", b'{"x": 1,', 1)),
        ("with NaN alone", b"NaN"),
    ):
        yield Case(f"profile {name}", profile, written("a.json", text))
    large = written("a.json", lambda: b'{"machine": "' + b"x" * 10**8 + b'"}')
    yield Case("profile of 100 MB", profile, large, says=("--limit profile_bytes=",))
    yield Case("profile that is a pipe", profile, special_file("a.json", os.mkfifo))
    yield Case("profile that is missing", profile, lambda folder: folder / "none.json")
    for name, text in (
        ("empty", b""),
        ("with a cell too few", b"a,b\n1\n"),
        ("with a cell too many", b"a,b\n1,2,3\n"),
        ("with a column twice", b"a,a\n1,2\n"),
        ("no text", b"\xff\xfe\0"),
        ("with an open quote", b'a,b\n"1,2\n'),
        ("with an endless field", b"a,b\n1," + b"x" * 200_000),
        ("a picture", b"\x89PNG\r\n\x1a\n\0\0"),
    ):
        yield Case(f"printed table {name}", printed, written("a.csv", text))
    yield Case(
        "printed table of 20 MB", printed, written("a.csv", lambda: b"a,b\n" + b"1,2\n" * 5_000_000)
    )
    yield Case("printed table that is a pipe", printed, special_file("a.csv", os.mkfifo))


CASES = (*_toml(), *_tables())
