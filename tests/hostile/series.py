"""Hostile DICOM series: files that are cut, turned, lie, or are no stack of slices."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from benchmark.datasets.dicom import read_series
from tests.dicoms import write_series
from tests.hostile.case import Case
from tests.hostile.series_made import (
    HOUNSFIELD,
    SAYS_WHERE,
    STORED,
    TAGS,
    before_pixels,
    changed,
    deflated,
    edited,
    element,
    good,
    in_private,
    nested,
    packed,
    rewritten,
    rle,
    slice_bytes,
    syntax,
    with_file,
)


def series(path: Path, out: Path) -> Any:
    return read_series(path)


def one_file(path: Path, out: Path) -> Any:
    """A series whose only slice is the file."""
    return read_series(path.parent)


def right(answer: Any) -> bool:
    """The three slices, from the feet upwards, as they are displayed."""
    return np.array_equal(answer.values, HOUNSFIELD)


def sound(answer: Any) -> bool:
    """Finite slices with lengths, as many as there are files."""
    values = answer.values
    lengths = answer.spacing_mm is None or min(answer.spacing_mm) > 0
    return values.ndim == 3 and len(answer.files) == len(values) and lengths


def whole(answer: Any) -> bool:
    """Sound, and none of the three slices is lacking."""
    return sound(answer) and len(answer.files) == 3


def _damaged() -> Iterator[Case]:
    yield Case("series is read", series, good, "ok", right=right)
    for at in (0, 1, 64, 127, 128, 130, 132, 136, 140, 144, *range(150, len(slice_bytes()), 25)):
        cut = changed(lambda content, at=at: content[:at])
        yield Case(f"slice cut to {at} bytes", series, cut, named="scan")
    for less in (1, 2, 10, 39, 40, 41, 48, 52, 53):
        cut = changed(lambda content, less=less: content[:-less])
        yield Case(f"slice without its last {less} bytes", series, cut, named="002.dcm")
    for at in range(128, 1100, 9):
        for bit in (1, 0x80):

            def turn(content: bytes, at: int = at, bit: int = bit) -> bytes:
                place = at % len(content)
                return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]

            yield Case(
                f"slice with bit {bit:x} of byte {at} turned",
                series,
                changed(turn),
                "either",
                right=whole,
                named="scan",
            )
    for key in TAGS:
        fine = key not in (*SAYS_WHERE, "Rows", "Columns", "PixelData", "SeriesInstanceUID") and (
            not key.startswith(("Bits", "Pixel", "Photo", "Samples"))
        )
        expected = "ok" if fine or key == "HighBit" else "either"
        expected = "error" if key in (*SAYS_WHERE, "PixelData") else expected
        for every in (False, True):
            which = "all slices" if every else "a slice"
            made = edited(every, **{key: None})
            yield Case(f"{which} without {key}", series, made, expected, right=whole, named="scan")
        empty = rewritten(lambda data, key=key: setattr(data[key], "_value", None))
        yield Case(
            f"a slice whose {key} is empty", series, empty, "either", right=whole, named="scan"
        )
    for key in ("Rows", "BitsAllocated", "ImagePositionPatient", "RescaleSlope", "PixelData"):

        def lie(content: bytes, key: str = key) -> bytes:
            tag = pydicom.tag.Tag(key)
            at = content.index(struct.pack("<HH", tag.group, tag.element)) + 6
            return (
                content[:at]
                + b"\xff\xff\xff\x7f"[: 4 if key == "PixelData" else 2]
                + (content[at + (4 if key == "PixelData" else 2) :])
            )

        yield Case(f"a slice whose {key} claims bytes without end", series, changed(lie), "either",
                   right=right, named="scan")  # fmt: skip


def _found() -> Iterator[Case]:
    """What the fuzzer found."""

    def kind_unknown(content: bytes) -> bytes:
        at = content.index(b"\2\0\2\0UI")
        return content[: at + 4] + b"UA" + content[at + 6 : 300]

    yield Case("a slice of an unknown kind of value, cut", series, changed(kind_unknown),
               named="002.dcm")  # fmt: skip


def _shapes() -> Iterator[Case]:
    for key, values in (
        ("PixelSpacing", (["nan", "1"], [0, 0], [-1, 1], [1], ["1e400", 1], ["", ""], ["x", "y"])),
        (
            "ImageOrientationPatient",
            (
                [1, 0, 0, 1, 0, 0],
                [0] * 6,
                [2, 0, 0, 0, 2, 0],
                [1, 0, 0],
                ["nan"] * 6,
                [1, 0, 0, 0, 0, 1],
                [0, 1, 0, 0, 0, 1],
                ["x"] * 6,
                [1, 0, 0, 0.5, 0.5, 0],
            ),
        ),
        ("ImagePositionPatient", ([0, 0], ["nan", 0, 0], ["1e39", 0, 0], ["inf", "0", "0"])),
        ("RescaleSlope", ("nan", "inf", "1e300")),
        ("RescaleIntercept", ("nan", "-inf", "1e308")),
        ("SamplesPerPixel", (3, 4)),
        ("PhotometricInterpretation", ("MONOCHROME1", "RGB", "PALETTE COLOR", "", "\x1b[2J")),
        ("NumberOfFrames", (2, 10**9, -1)),
    ):
        for value in values:
            for every in (False, True):

                def put(data: Dataset, key: str = key, value: Any = value) -> None:
                    with pydicom.config.disable_value_validation():
                        kind = pydicom.datadict.dictionary_VR(key)
                        if kind in ("DS", "IS"):
                            words = value if isinstance(value, list) else [value]
                            told = "\\".join(str(each) for each in words).encode()
                            tag = pydicom.tag.Tag(key)
                            data._dict[tag] = pydicom.dataelem.RawDataElement(
                                tag, kind, len(told), told, 0, False, True
                            )
                        else:
                            setattr(data, key, value)

                which = "all slices" if every else "a slice"
                yield Case(
                    f"{which} with {key} {value!a}", series, rewritten(put, every), named="scan"
                )
    for rows, columns in ((65535, 65535), (65535, 1), (0, 5), (4, 0), (5, 4), (8, 5), (2, 5)):
        for every in (False, True):
            made = edited(every, Rows=rows, Columns=columns)
            which = "all slices" if every else "a slice"
            turned = (rows, columns) == (5, 4) and every  # as many pixels, and nobody can know
            expected = "ok" if turned else "error"
            yield Case(
                f"{which} of {rows} x {columns}", series, made, expected, right=sound, named="scan"
            )
    for values in (
        {"BitsAllocated": 8},
        {"BitsAllocated": 32},
        {"BitsAllocated": 7},
        {"BitsAllocated": 0},
        {"BitsAllocated": 65535},
        {"BitsAllocated": 1},
        {"BitsStored": 0},
        {"BitsStored": 12, "HighBit": 11},
        {"BitsStored": 99},
        {"HighBit": 99},
        {"PixelRepresentation": 2},
        {"PixelRepresentation": 0},
    ):
        words = ", ".join(f"{key} {value}" for key, value in values.items())
        yield Case(f"all slices with {words}", series, edited(True, **values), "either",
                   right=sound, named="scan")  # fmt: skip
    for key in ("SeriesDescription", "SeriesNumber"):
        made = rewritten(partial(_noise, key))
        yield Case(f"a slice with {key} of noise", series, made, "either", right=sound, named="")


def _noise(key: str, data: Dataset) -> None:
    """An attribute of bytes that are no text."""
    data[key] = pydicom.DataElement(key, "OB", b"\xff\x1b[2J" * 1000)


def _stored() -> Iterator[Case]:
    for uid, word in (
        ("1.2.3.4.5", "unknown"),
        ("", "none"),
        (RLELossless, "RLE"),
        (JPEGBaseline8Bit, "JPEG"),
        (JPEGLSLossless, "JPEG-LS"),
        (JPEG2000Lossless, "JPEG 2000"),
        (ImplicitVRLittleEndian, "implicit"),
        (ExplicitVRBigEndian, "big-endian"),
        (DeflatedExplicitVRLittleEndian, "deflated"),
        ("1.2.840.10008.1.2.4.100", "MPEG-2"),
        ("1" * 200, "200 digits"),
    ):
        says = () if word != "MPEG-2" else ("scan",)
        yield Case(f"a slice that says it is {word}", series, syntax(uid), "either", says,
                   sound, "scan")  # fmt: skip
    for name, frame in (
        ("next to nothing", b"\0\0"),
        ("noise", bytes(range(256)) * 4),
        ("no segments", rle(b"\0" * 40, 0)),
        ("segments without end", rle(b"\0" * 40, 2**32 - 1)),
        ("a row too little", rle(b"\xf2\0" * 2)),
    ):
        yield Case(f"RLE of {name}", series, packed(RLELossless, [frame]), named="scan")
        for uid, word in (
            (JPEGBaseline8Bit, "JPEG"),
            (JPEGLSLossless, "JPEG-LS"),
            (JPEG2000Lossless, "JPEG 2000"),
        ):
            yield Case(f"{word} of {name}", series, packed(uid, [frame]), named="scan")
    big = {"Rows": 16384, "Columns": 16384}
    yield Case("RLE that unpacks to 512 MiB", series,
               packed(RLELossless, [rle(b"\x81\0" * 2**22)], **big), named="scan")  # fmt: skip
    yield Case("a slice that is deflated", series, changed(deflated()), "either", right=right,
               named="002.dcm")  # fmt: skip
    yield Case("a slice that is a deflated bomb of 256 MiB", series, changed(deflated(2**28)),
               named="002.dcm")  # fmt: skip
    for depth in (3, 60, 5000, 100_000):
        yield Case(
            f"sequences {depth} deep",
            series,
            changed(before_pixels(nested(depth))),
            "either",
            right=sound,
            named="002.dcm",
        )
        yield Case(
            f"sequences {depth} deep, in front", series,
            changed(in_private(partial(nested, depth))),
            "either", right=sound, named="002.dcm",
        )  # fmt: skip
    large = partial(lambda: element(0x0009, 0x1001, b"UN", bytes(2**24)))
    creator = element(0x0009, 0x0010, b"LO", b"SOMEBODY")
    yield Case("a private attribute of 16 MiB", series,
               changed(in_private(lambda: creator + large())), "ok", right=right)  # fmt: skip
    yield Case("a text of 16 MiB", series, changed(before_pixels(element(0x4008, 0x010B, b"UT",
               b"x" * 2**24))), "either", right=right, named="002.dcm")  # fmt: skip
    many = b"".join(element(0x0011, k, b"LO", b"") for k in range(0x1000, 0x1000 + 5000))
    yield Case("5,000 private attributes", series, changed(before_pixels(many)), "ok",
               right=right)  # fmt: skip
    twice = element(0x0028, 0x0010, b"US", b"\xff\xff")
    yield Case("Rows twice", series, changed(before_pixels(twice)), "either", right=sound,
               named="scan")  # fmt: skip
    yield Case("an end before the pixels", series,
               changed(before_pixels(struct.pack("<HHI", 0xFFFE, 0xE00D, 0))), "either",
               right=sound, named="scan")  # fmt: skip


def _folders() -> Iterator[Case]:
    def empty(parent: Path) -> Path:
        (parent / "scan").mkdir()
        return parent / "scan"

    yield Case("a folder that is empty", series, empty)
    yield Case("a folder that is not there", series, lambda parent: parent / "scan")
    yield Case("a folder that is a file", one_level, _as_file)
    for name, content, expected in (
        ("DICOMDIR", b"\0" * 128 + b"DICM" + b"\xff" * 99, "ok"),
        ("notes.txt", b"no DICOM", "ok"),
        ("notes.dcm", b"no DICOM", "error"),
        ("empty.dcm", b"", "error"),
        ("empty", b"", "ok"),
        (".hidden.dcm", b"x", "ok"),
        ("mark", bytes(128) + b"DICM", "either"),
        ("mark.dcm", bytes(128) + b"DICM" + b"\xff" * 1000, "either"),
        ("__MACOSX/._a.dcm", b"x", "ok"),
    ):
        yield Case(f"a series and {name}", series, with_file(name, content), expected,
                   right=right, named=name)  # fmt: skip
    yield Case("a slice twice", series, with_file("copy.dcm", slice_bytes), named="scan")
    yield Case("a slice twice in another folder", series, with_file("b/c.dcm", slice_bytes),
               named="scan")  # fmt: skip
    yield Case("a slice without preamble", series, changed(lambda content: content[132:]),
               named="002.dcm")  # fmt: skip
    for name in (
        "slice 肺 é.dcm",
        "имя с пробелами/a.dcm",
        "x" * 251 + ".dcm",
        "noending",
        "a\n.dcm",
    ):

        def renamed(parent: Path, name: str = name) -> Path:
            path = good(parent)
            (path / name).parent.mkdir(exist_ok=True)
            (path / "002.dcm").rename(path / name)
            return path

        yield Case(f"a slice called {name[:30]!a}", series, renamed, "ok", right=right)
    other = edited(SeriesInstanceUID="9.9", SeriesNumber=7, SeriesDescription="\x1b[2J<b>")
    yield Case("two series", series, other, says=("2 series", "series=NUMBER"), named="scan")

    def many(parent: Path) -> Path:
        path = parent / "scan"
        for k in range(12):
            write_series(path / str(k), STORED[:1], SeriesInstanceUID=f"9.{k}", SeriesNumber=k)
        return path

    yield Case("twelve series", series, many, says=("and 4 more",), named="scan")
    for word, position, says in (
        ("a gap", [-10, -20, 103.0], "unevenly"),
        ("a slice beside the others", [-12, -20, 102.0], None),
        ("two slices at one place", [-10, -20, 100.0], "another one is"),
        ("almost no step", [-10, -20, 100.0001], "another one is"),
        ("a slice far away", [-10, -20, 1e30], "unevenly"),
    ):
        made = edited(ImagePositionPatient=position)
        expected = "error" if says else "either"
        yield Case(f"a series with {word}", series, made, expected,
                   (says,) if says else (), named="scan", right=sound)  # fmt: skip
    tilted = rewritten(
        lambda data: setattr(
            data,
            "ImagePositionPatient",
            [-10, -20 + float(data.ImagePositionPatient[2]) / 3, data.ImagePositionPatient[2]],
        ),
        every=True,
    )
    yield Case("a tilted gantry", series, tilted, says=("tilted gantry",), named="scan")
    for word, put in (
        ("a pipe", os.mkfifo),
        ("a link to nothing", lambda path: path.symlink_to("nowhere")),
        ("a link to itself", lambda path: path.symlink_to(path.name)),
        ("a link to /dev/zero", lambda path: path.symlink_to("/dev/zero")),
        ("a folder called .dcm", os.mkdir),
    ):

        def beside(parent: Path, put: Callable[[Path], object] = put) -> Path:
            path = good(parent)
            put(path / "odd.dcm")
            return path

        yield Case(f"a series and {word}", series, beside, "ok", right=right)

    def around(parent: Path) -> Path:
        path = good(parent)
        (path / "again").symlink_to(path)
        return path

    yield Case("a series with a link to its folder", series, around, "ok", right=right)


def one_level(path: Path, out: Path) -> Any:
    return read_series(path)


def _as_file(parent: Path) -> Path:
    path = parent / "scan.dcm"
    path.write_bytes(slice_bytes())
    return path


def _single() -> Iterator[Case]:
    """Where the fuzzer starts: slices alone in a folder."""

    def make(change: Callable[[bytes], bytes], parent: Path) -> Path:
        path = parent / "a.dcm"
        path.write_bytes(change(slice_bytes()))
        return path

    same: Callable[[bytes], bytes] = lambda content: content  # noqa: E731
    for name, change, expected in (
        ("alone", same, "ok"),
        ("alone and deflated", deflated(), "either"),
        ("alone with sequences", before_pixels(nested(3)), "either"),
        ("alone with a private attribute", before_pixels(element(9, 0x1001, b"UN", b"ab")), "ok"),
    ):
        yield Case(f"a slice {name}", one_file, partial(make, change), expected, right=sound,
                   named="")  # fmt: skip


CASES = (*_damaged(), *_found(), *_shapes(), *_stored(), *_folders(), *_single())
