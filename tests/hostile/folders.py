"""Hostile folders of images and masks, as `covbench data prepare folder` gets them; groups.csv."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import PreparedDataset, prepare_dataset
from tests.hostile.case import Case
from tests.hostile.pictures import BINARY, RAMP, saved
from tests.hostile.volumes import AFFINE, claiming, gzipped, nifti

Files = Mapping[str, Any]


def folder(path: Path, out: Path, **options: Any) -> Any:
    return prepare_dataset("folder", path, as_name="mine", root=out, **options)


def groups_of_bytes(path: Path, out: Path) -> Any:
    """A groups.csv beside two images."""
    from benchmark.datasets.folder_files import Item, read_groups

    return read_groups(path, {"a": Item(path, path), "b": Item(path, path)})


def stacks(path: Path, out: Path) -> Any:
    return prepare_dataset("ct100", path, root=out)


def prepared(path: Path, out: Path) -> Any:
    opened = PreparedDataset(path)
    opened.verify()
    return opened


def holds(*ids: str) -> Callable[[Any], bool]:
    return lambda answer: [case.id for case in answer.cases] == list(ids)


IMAGE, MASK = saved(RAMP, "PNG"), saved(BINARY, "PNG")
VOLUME = nifti(np.full((4, 4, 3), -500, np.int16))
LABELS = nifti(np.ones((4, 4, 3), np.uint8))


def pair(
    stem: str, image: bytes = IMAGE, mask: bytes = MASK, suffix: str = ".png"
) -> dict[str, Any]:
    return {f"images/{stem}{suffix}": image, f"masks/{stem}{suffix}": mask}


def files(given: Files, name: str = "data") -> Callable[[Path], Path]:
    """What makes a folder of files: bytes, a link's target, or a function that makes one."""

    def make(parent: Path) -> Path:
        root = parent / name
        for each, content in given.items():
            path = root / each
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            elif isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
        return root

    return make


def groups(text: bytes | str) -> dict[str, Any]:
    content = text.encode() if isinstance(text, str) else text
    return {**pair("a"), **pair("b"), "groups.csv": content}


def made(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """What prepares a dataset and then damages it."""

    def make(parent: Path) -> Path:
        source = files({**pair("a"), **pair("b")}, "source")(parent)
        path = prepare_dataset("folder", source, as_name="mine", root=parent / "done").path
        change(path)
        return path

    return make


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        text = (path / name).read_text()
        assert old in text
        (path / name).write_text(text.replace(old, new))

    return change


def content(name: str, new: bytes) -> Callable[[Path], object]:
    return lambda path: (path / name).write_bytes(new)


def _pairs() -> Iterator[Case]:
    tilted = AFFINE.copy()
    tilted[0, 1] = 0.5
    shifted = AFFINE.copy()
    shifted[:3, 3] = 40
    finer = np.diag([-1.0, -1, 3, 1])
    ones = np.ones((4, 4, 3), np.uint8)
    short = np.ones((4, 4, 2), np.uint8)
    wide = saved(np.vstack([BINARY, BINARY]), "PNG")
    for name, given, named, *says in (
        ("without images", {"masks/a.png": MASK}, "images"),
        ("without masks", {"images/a.png": IMAGE}, "masks"),
        ("that is empty", {"images": os.mkdir, "masks": os.mkdir}, "images"),
        ("with an image alone", {**pair("a"), "images/b.png": IMAGE}, "b.png"),
        ("with a mask alone", {**pair("a"), "masks/b.png": MASK}, "b.png"),
        ("with two masks of an image", {**pair("a"), "masks/a_mask.png": MASK}, "a_mask.png"),
        ("with two images of a name", {**pair("a"), "images/a.tif": saved(RAMP, "TIFF")}, "a.tif"),
        ("with masks of another size", pair("a", mask=wide), "a.png", "differ in size"),
        ("with images for masks", pair("a", mask=IMAGE), "a.png", "nothing maps"),
        ("with masks of background alone", pair("a", mask=saved(BINARY * 0, "PNG")), "masks"),
        ("with a damaged image", {**pair("a"), **pair("b", image=IMAGE[:50])}, "b.png"),
        ("with a damaged mask", {**pair("a"), **pair("b", mask=MASK[:50])}, "b.png"),
        ("with an empty image", pair("a", image=b""), "a.png"),
        ("with a bomb", pair("a", image=IMAGE[:16] + b"\x7f" * 8 + IMAGE[24:]), "a.png"),
        ("with a picture and a volume", {"images/a.png": IMAGE, "masks/a.nii": LABELS}, "a.nii"),
        ("with a volume cut", pair("a", VOLUME[:400], LABELS, ".nii"), "a.nii"),
        (
            "with a mask of fewer slices",
            pair("a", VOLUME, nifti(short), ".nii"),
            "a.nii",
            "differ in size",
        ),
        (
            "with a mask tilted",
            pair("a", VOLUME, nifti(ones, tilted), ".nii"),
            "a.nii",
            "differently",
        ),
        (
            "with a mask shifted",
            pair("a", VOLUME, nifti(ones, shifted), ".nii"),
            "a.nii",
            "differently",
        ),
        (
            "with a mask of finer voxels",
            pair("a", VOLUME, nifti(ones, finer), ".nii"),
            "a.nii",
            "differently",
        ),
        ("with a mask flipped", pair("a", VOLUME, nifti(ones, -AFFINE), ".nii"), "a.nii"),
        (
            "with a mask in 4-D",
            pair("a", VOLUME, nifti(np.ones((4, 4, 3, 2), np.uint8)), ".nii"),
            "a.nii",
        ),
        ("with labels out of the map", pair("a", VOLUME, nifti(ones * 7), ".nii"), "a.nii", "7"),
        ("with a mask of NaN", pair("a", VOLUME, nifti(ones * np.float32("nan")), ".nii"), "a.nii"),
        ("with terabytes", pair("a", claiming(32767, 32767, 32767), LABELS, ".nii"), "a.nii"),
        ("with an image that is a pipe", {**pair("a"), "images/b.png": os.mkfifo}, "images"),
        (
            "with a mask that is a device",
            {"images/a.png": IMAGE, "masks/a.png": "/dev/zero"},
            "a.png",
        ),
        ("with a mask that is a folder", {"images/a.png": IMAGE, "masks/a.png": os.mkdir}, "a.png"),
        ("with a link to nothing", {"images/a.png": "nowhere", "masks/a.png": MASK}, "images"),
        ("with images that are a file", {"images": IMAGE, "masks/a.png": MASK}, "images"),
        ("with a newline in a name", pair("a\nb"), "a\\nb", "control character"),
        ("with an escape in a name", pair("a\x1b[2Jb"), "a\\x1b[2Jb", "control character"),
        ("with a name that is no text", pair("a\udcff"), "a\\udcff", "control character"),
        ("with a name that turns its direction", pair("a\u202eb"), "a\\u202eb"),
    ):
        expected = "error"
        if name == "with images for masks" or name == "with an image that is a pipe":
            expected = "error" if "masks" in name else "ok"
        yield Case(f"folder {name}", folder, files(given), expected, tuple(says), named=named)
    for word, stem in (
        ("spaces", "a b  c"),
        ("Unicode", "肺 é 🫁"),
        ("251 bytes", "x" * 251),
        ("a script", "<script>alert(1)<"),
        ("LaTeX", r"\input{x}%$_&#"),
        ("a formula", "=cmd|x"),
        ("quotes", "a\"b'c,d;e"),
        ("dots", "a..b"),
    ):
        yield Case(
            f"folder with {word} in a name", folder, files(pair(stem)), "ok", right=holds(stem)
        )
    outside: dict[str, Any] = {
        "images/a.png": "../../elsewhere.png",
        "masks/a.png": MASK,
        "../elsewhere.png": IMAGE,
    }
    yield Case("folder with a link out of it", folder, files(outside), "ok", right=holds("a"))
    yield Case("folder that is a link", folder, _link, "ok", right=holds("a"))
    yield Case(
        "folder with Unicode and spaces in its path", folder, files(pair("a"), "мои data 肺"), "ok"
    )
    deep = "/".join(["d" * 200] * 3)
    yield Case("folder with a long path", folder, files(pair("a"), deep), "ok")
    yield Case(
        "folder with hidden files", folder, files({**pair("a"), "images/.DS_Store": b"x"}), "ok"
    )
    both = pair("a", partial(_bomb, np.int16), partial(_bomb, np.uint8), ".nii.gz")  # type: ignore[arg-type]
    yield Case("folder with the largest packed volumes", folder, files(both), "ok")
    for option, value in (
        ("label_map", "1:1,2"),
        ("label_map", "1:300"),
        ("label_map", "9" * 5000 + ":1"),
        ("window", "nan,1"),
        ("window", "5,5"),
        ("window", "-inf,inf"),
        ("groups", "("),
        ("groups", "x"),
        ("groups", "(zzz)"),
        ("groups", "(" * 200 + ")" * 200),
        ("nonsense", "1"),
    ):
        read = partial(folder, **{option: value})
        yield Case(f"folder with {option}={value[:20]}", read, files(pair("a")), named=option)


def _bomb(kind: type, path: Path) -> None:
    """Almost as many zeros as a packed volume may hold, and one voxel of infection."""
    code, bits = (4, 16) if kind is np.int16 else (2, 8)
    head = claiming(512, 512, 500, datatype=code, bits=bits)[:352]
    one = b"\1" if kind is np.uint8 else b""
    path.write_bytes(gzipped(head + one, 512 * 512 * 500 * bits // 8 - len(one)))


def _link(parent: Path) -> Path:
    real = files(pair("a"), "real")(parent)
    (parent / "data").symlink_to(real)
    return parent / "data"


def _groups() -> Iterator[Case]:
    for name, text, *says in (
        ("that is empty", ""),
        ("with its head alone", "id,group\n", "does not say"),
        ("with other columns", "name,patient\na,1\nb,2\n"),
        ("with a file too few", "id,group\na,1\n", "b"),
        ("with a file too many", "id,group\na,1\nb,1\nc,1\n", "c"),
        ("with an id in two groups", "id,group\na,1\na,2\nb,1\n", "two groups"),
        ("with an empty group", "id,group\na,\nb,1\n"),
        ("in UTF-16", "id,group\na,1\nb,2\n".encode("utf-16")),
        ("in Latin-1", b"id,group\na,\xe9\nb,1\n", "UTF-8"),
        ("with bytes of zero", b"id,group\na,\0\nb,1\n"),
        ("with an endless field", 'id,group\na,"' + "x" * 200_000),
        (
            "with many columns",
            "id,group" + ",x" * 10_000 + "\na,1\nb,1" + ",y" * 20_000 + "\n",
        ),
        ("that is a picture", IMAGE),
        ("with semicolons", "id;group\na;1\nb;1\n"),
    ):
        expected = "either" if name in ("with many columns",) else "error"
        named = "" if name == "with bytes of zero" else "groups.csv"
        yield Case(
            f"groups.csv {name}", folder, files(groups(text)), expected, tuple(says), named=named
        )
    large = {
        **groups(""),
        "groups.csv": lambda path: path.write_bytes(b"id,group\n" + b"x,1\n" * 2**22 + b"y"),
    }
    yield Case(
        "groups.csv of 16 MiB",
        folder,
        files(large),
        says=("--limit table_bytes=",),
        named="groups.csv",
    )
    for name, content_ in (
        ("a pipe", os.mkfifo),
        ("a folder", os.mkdir),
        ("a link to nothing", "nowhere"),
        ("a link to /dev/zero", "/dev/zero"),
    ):
        given = {**groups(""), "groups.csv": content_}
        yield Case(f"groups.csv that is {name}", folder, files(given), named="groups.csv")
    given = groups("\ufeffid,group\r\na,p <b>1</b>\r\nb,=1+1\r\n")
    yield Case(
        "groups.csv with a mark, other line ends and markup",
        folder,
        files(given),
        "ok",
        right=holds("a", "b"),
    )
    yield Case(
        "groups.csv with an escape in a group",
        folder,
        files(groups("id,group\na,\x1b[2J\nb,1\n")),
        named="x1b",
    )


def _stacks() -> Iterator[Case]:
    both = {"tr_im.nii.gz": VOLUME, "tr_mask.nii.gz": LABELS}
    for name, given, named in (
        ("that are no gzip", both, "tr_"),
        ("of three slices", {"tr_im.nii": VOLUME, "tr_mask.nii": LABELS}, "tr_im.nii"),
        ("without masks", {"tr_im.nii": VOLUME}, "tr_mask.nii"),
        ("that are cut", {"tr_im.nii": VOLUME[:360], "tr_mask.nii": LABELS}, "tr_im.nii"),
        ("that are pipes", {"tr_im.nii": os.mkfifo, "tr_mask.nii": os.mkfifo}, "tr_im.nii"),
        ("of pictures, one alone", {"tr_im/tr_im_0000.png": IMAGE}, "tr_mask"),
    ):
        yield Case(f"stacks {name}", stacks, files(given), named=named)


def _prepared() -> Iterator[Case]:
    line = "a,a,6,8,,,"
    for name, change in (
        ("without a manifest", lambda path: (path / "manifest.json").unlink()),
        ("with an empty manifest", content("manifest.json", b"")),
        ("with a manifest cut", content("manifest.json", b'{"schema": 1, "name": "mine"')),
        ("with a manifest that is nested", content("manifest.json", b"[" * 100_000)),
        ("with a manifest of zeros", content("manifest.json", bytes(1000))),
        ("of a newer schema", replaced("manifest.json", '"schema": 1', '"schema": 2')),
        ("with a field that is unknown", replaced("manifest.json", '"schema"', '"x": 1, "schema"')),
        ("with other parameters", replaced("manifest.json", '"window": null', '"window": [0, 1]')),
        ("without a table", lambda path: (path / "cases.csv").unlink()),
        ("with an empty table", content("cases.csv", b"")),
        (
            "with a table without lines",
            content("cases.csv", b"id,group,height,width,row_mm,column_mm,foreground\n"),
        ),
        ("with a table that is no text", content("cases.csv", b"\xff\xfe")),
        ("with a table that holds a zero", replaced("cases.csv", line, "a\0" + line[1:])),
        ("with an endless field", replaced("cases.csv", line, '"' + "x" * 200_000)),
        ("with a slice of less than no size", replaced("cases.csv", line, "a,a,-6,-8,,,")),
        ("with a slice of terabytes", replaced("cases.csv", line, "a,a,1000000,1000000,,,")),
        ("with a slice of another shape", replaced("cases.csv", line, "a,a,8,6,,,")),
        ("with images cut", content("images.raw", b"x")),
        ("without images", lambda path: (path / "images.raw").unlink()),
        (
            "with images that are a folder",
            lambda path: ((path / "images.raw").unlink(), (path / "images.raw").mkdir()),
        ),
        ("with masks changed", content("masks.raw", bytes(96))),
        ("with images changed", content("images.raw", bytes(96))),
        (
            "with a manifest that is a pipe",
            lambda path: ((path / "manifest.json").unlink(), os.mkfifo(path / "manifest.json")),
        ),
    ):
        named = "manifest.json" if "pipe" in name else "mine"
        yield Case(f"prepared dataset {name}", prepared, made(change), named=named)
    yield Case("prepared dataset", prepared, made(lambda path: None), "ok", right=holds("a", "b"))


CASES = (*_pairs(), *_groups(), *_stacks(), *_prepared())
SEEDED = {"groups_of_bytes": folder}
"""Readers that are fuzzed, and those whose cases they start from."""
