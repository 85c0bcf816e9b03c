"""Hostile images that are brought to `covbench predict`, and what may lie where results go."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmark.datasets.inputs import find_scans, read_scan
from benchmark.involvement import Part
from runners.predicting.facts import Facts
from runners.predicting.outputs import begin, finished, make, targets_of
from runners.predicting.table import write_table
from tests.hostile.case import Case
from tests.hostile.folders import IMAGE, VOLUME, files
from tests.hostile.series_made import slice_bytes
from tests.hostile.volumes import claiming


class _Chain:
    """A network that finds what is brighter than half."""

    target = SimpleNamespace(
        run=SimpleNamespace(record=SimpleNamespace(spec=SimpleNamespace(id="a" * 64, title="net"))),
        classes={},
    )
    lungs = None
    predictors = ()
    only_lungs = False

    def slices(self, grey: Any) -> Iterator[Any]:
        return (SimpleNamespace(mask=(each > 127).astype(np.uint8), lung=None) for each in grey)


_WISH: Any = SimpleNamespace(
    chain=_Chain(), hounsfield=(-1250.0, 250.0), given=None, overlays="all", seg=False
)


def scan(path: Path, out: Path) -> Any:
    return read_scan(path)


def predicted(path: Path, out: Path) -> list[Facts]:
    """What the command does with each image; `before`, beside them, is copied into `out`."""
    before = path.parent / "before"
    if before.is_dir():
        shutil.copytree(before, out / "results", symlinks=True, copy_function=_copy)
    results = out / "results"
    found = []
    for target in targets_of(find_scans(path, without=results), path, results):
        asked = begin(target, _WISH)
        found.append(finished(target, asked) or make(target, asked, _WISH.chain, lambda *_: None))
    write_table(results)
    return found


def _copy(source: str, target: str) -> None:
    """A file as it is; a pipe as another pipe."""
    if Path(source).is_file():
        shutil.copy2(source, target)
    else:
        os.mkfifo(target)


def one(answer: Any) -> bool:
    """One image, predicted whole."""
    return len(answer) == 1 and bool(answer[0].mask)


def _images() -> Iterator[Case]:
    for name, content in (
        ("a.png", IMAGE),
        ("a.nii", VOLUME),
        ("a.dcm", slice_bytes()),
        ("deep/er/a.png", IMAGE),
        ("肺 é 🫁.png", IMAGE),
        ("x" * 251 + ".png", IMAGE),
        ("肺" * 80 + ".nii", VOLUME),
        ("a\nb.png", IMAGE),
        ("\x1b[2J.png", IMAGE),
        ("\udcff.png", IMAGE),
        ("a.PNG", IMAGE),
        ("<script>.png", IMAGE),
        ("%s{0}.png", IMAGE),
    ):
        yield Case(f"prediction of {name[:30]!a}", predicted, files({name: content}), "ok",
                   right=one)  # fmt: skip
    for name, given in (
        ("nothing", {"a.txt": b"x"}),
        ("a hidden image", {".a.png": IMAGE}),
        ("a pipe", {"a.png": os.mkfifo}),
        ("a device", {"a.png": "/dev/zero"}),
        ("a link to nothing", {"a.png": "nowhere"}),
        ("a picture cut", {"a.png": IMAGE[:40]}),
        ("an empty picture", {"a.png": b""}),
        ("a volume cut", {"a.nii": VOLUME[:380]}),
        ("a volume of terabytes", {"a.nii": claiming(32767, 32767, 32767)}),
        ("a volume of no voxels", {"a.nii": claiming(0, 4, 4)}),
        ("a slice cut", {"a.dcm": slice_bytes()[:500]}),
        ("no slice", {"a.dcm": b"x" * 500}),
        ("a slice twice", {"a.dcm": slice_bytes(), "b.dcm": slice_bytes()}),
    ):
        yield Case(f"prediction of {name}", predicted, files(given), named="data")
    for name, content in (("a.png", IMAGE), ("a.nii", VOLUME)):
        for share in (1, 10, 50):
            cut = files({name: content[: len(content) * share // 100]})
            yield Case(f"prediction of {name} cut to {share} %", predicted, cut, named=name)
    both = files({"a.png": IMAGE, "a.nii": VOLUME})
    yield Case("prediction of two images of a name", predicted, both, "ok",
               right=lambda found: len(found) == 2)  # fmt: skip
    long = files({"x" * 250 + "a.png": IMAGE, "x" * 250 + "b.png": IMAGE})
    yield Case("prediction of two long names", predicted, long, "ok",
               right=lambda found: len(found) == 2)  # fmt: skip


def _facts(voxels: int) -> bytes:
    """Facts of another image, whose lungs together have so many voxels, and no left or right."""
    part = Part("both", 10**30, voxels, None, None)
    facts = Facts(
        input="b.png",
        input_sha256="0" * 64,
        run="1" * 64,
        title="another",
        lung_run=None,
        source_changed=False,
        hounsfield=(-1250.0, 250.0),
        given=None,
        overlays="none",
        mask="2" * 64,
    )
    text = facts.model_dump_json().replace('"parts":[]', f'"parts":[{json.dumps(asdict(part))}]')
    return text.encode()


def _results() -> Iterator[Case]:
    secret = b"not to be touched"
    for name, given in (
        ("damaged facts", {"before/a_mask.json": b"{"}),
        ("facts of another", {"before/a_mask.json": json.dumps({"run": "x"}).encode()}),
        ("facts with numbers that no float holds", {"before/b_mask.json": _facts(10**400)}),
        ("facts with half of the lungs", {"before/b_mask.json": _facts(5)}),
        ("facts that are nested", {"before/a_mask.json": b"[" * 100_000}),
        ("facts that are a pipe", {"before/a_mask.json": os.mkfifo}),
        ("facts that are a link out", {"before/a_mask.json": "../../../in/data/secret"}),
        (
            "facts of 65 MiB",
            {"before/a_mask.json": lambda path: path.write_bytes(bytes(2**26 + 1))},
        ),
        ("a mask that is a link to nothing", {"before/a_mask.png": "../../in/data/nowhere"}),
        ("an overlay that is a link out", {"before/a_overlay.png": "../../in/data/secret"}),
    ):
        made = files({"a.png": IMAGE, "secret": secret, **given})
        yield Case(f"results beside {name}", predicted, _moved(made), "ok", right=one)
    for name, given in (
        ("a mask of somebody", {"before/a_mask.png": b"mine"}),
        ("a mask that is a pipe", {"before/a_mask.png": os.mkfifo}),
    ):
        made = files({"a.png": IMAGE, **given})
        yield Case(f"results beside {name}", kept_results, _moved(made), named="a_mask.png")


def kept_results(path: Path, out: Path) -> Any:
    """As `predicted`, into a folder that the case has filled; refusals leave it as it was."""
    results = path.parent / "before"
    listed = sorted(results.iterdir())
    try:
        return [
            finished(target, begin(target, _WISH))
            for target in targets_of(find_scans(path, without=results), path, results)
        ]
    finally:
        assert sorted(results.iterdir()) == listed


def _moved(make_files: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """What lies where results go stands beside the images, not among them."""

    def made(parent: Path) -> Path:
        path = make_files(parent)
        (path / "before").rename(parent / "before")
        return path

    return made


CASES = (*_images(), *_results())
