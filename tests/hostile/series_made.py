"""How a good DICOM series is made, and one that is cut, turned or lies."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
)

from tests.dicoms import write_series

STORED = (np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 20 + 24).astype(np.int16)
HOUNSFIELD = STORED - 1024
SAYS_WHERE = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
)
"""What a slice must have, beside its pixels."""

TAGS = (
    *SAYS_WHERE,
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "FrameOfReferenceUID",
    "InstanceNumber",
    "SliceThickness",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelData",
)


@cache
def slice_bytes() -> bytes:
    """The file of one good slice."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), STORED)
        return (Path(folder) / "002.dcm").read_bytes()


def good(parent: Path) -> Path:
    path = parent / "scan"
    write_series(path, STORED)
    return path


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """A good series, the bytes of whose middle slice are changed."""

    def make(parent: Path) -> Path:
        path = good(parent)
        middle = path / "002.dcm"
        middle.write_bytes(change(middle.read_bytes()))
        return path

    return make


def with_file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A good series and another file beside its slices."""

    def make(parent: Path) -> Path:
        path = good(parent)
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content() if callable(content) else content)
        return path

    return make


def edited(every: bool = False, **values: Any) -> Callable[[Path], Path]:
    """A good series whose middle slice, or all, have other attributes; None takes one away."""

    def change(data: Dataset) -> None:
        for key, value in values.items():
            if value is None:
                delattr(data, key)
            else:
                setattr(data, key, value)

    return rewritten(change, every)


def rewritten(change: Callable[[Dataset], object], every: bool = False) -> Callable[[Path], Path]:
    """A good series whose middle slice, or all, went through a function of its dataset."""

    def make(parent: Path) -> Path:
        import warnings

        path = good(parent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for file in sorted(path.iterdir()) if every else [path / "002.dcm"]:
                data = pydicom.dcmread(file)
                change(data)
                data.save_as(file)
        return path

    return make


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """An attribute with its kind written out, whatever its length claims."""
    size = len(value) if length is None else length
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    form = "<HH2s2xI" if long else "<HH2sH"
    return struct.pack(form, group, number, kind, size) + value


def before_pixels(added: bytes) -> Callable[[bytes], bytes]:
    """Puts bytes in front of the pixels."""

    def change(content: bytes) -> bytes:
        at = content.index(b"\xe0\x7f\x10\x00")
        return content[:at] + added + content[at:]

    return change


def in_private(value: Callable[[], bytes]) -> Callable[[bytes], bytes]:
    """Puts a private attribute in front of the modality."""

    def change(content: bytes) -> bytes:
        at = content.index(b"\x08\x00\x60\x00")
        return content[:at] + value() + content[at:]

    return change


def nested(depth: int) -> bytes:
    """Sequences of no stated length inside each other."""
    opened = struct.pack("<HH2s2xI", 0x0040, 0x0275, b"SQ", 0xFFFFFFFF)
    return (opened + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * depth


def deflated(zeros: int = 0) -> Callable[[bytes], bytes]:
    """The attributes packed, and behind them so many zeros."""

    def change(content: bytes) -> bytes:
        data = pydicom.dcmread(io.BytesIO(content))
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        file = io.BytesIO()
        data.save_as(file, implicit_vr=False, little_endian=True)
        if not zeros:
            return file.getvalue()
        plain = io.BytesIO()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.save_as(plain)
        at = plain.getvalue().index(b"\x08\x00\x16\x00")  # the first attribute behind the meta ones
        head = file.getvalue()[: plain.getvalue().index(b"\x08\x00\x16\x00") + 3]
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = element(0x7FE0, 0x0010, b"OW", b"", zeros)
        parts = [packer.compress(plain.getvalue()[at:].split(b"\xe0\x7f\x10\x00")[0] + body)]
        parts += [packer.compress(bytes(2**20)) for _ in range(zeros // 2**20)]  # never held whole
        meta = head[: _meta_end(head)]
        return meta + b"".join(parts) + packer.flush()

    return change


def _meta_end(content: bytes) -> int:
    """Where the attributes of the file itself end: their length stands in the first."""
    return 144 + struct.unpack_from("<I", content, 140)[0]


def syntax(uid: str) -> Callable[[Path], Path]:
    """A series that says it is stored otherwise than it is."""
    old = b"1.2.840.10008.1.2.1\0"

    def change(content: bytes) -> bytes:
        new = uid.encode() + b"\0" * (len(uid) % 2)
        at = content.index(old)
        made = content[: at - 2] + struct.pack("<H", len(new)) + new + content[at + len(old) :]
        length = struct.unpack_from("<I", made, 140)[0] + len(new) - len(old)
        return made[:140] + struct.pack("<I", length) + made[144:]

    return changed(change)


def packed(uid: str, frames: list[bytes], **values: Any) -> Callable[[Path], Path]:
    """A middle slice whose pixels are packed, as these bytes."""

    def change(data: Dataset) -> None:
        data.file_meta.TransferSyntaxUID = uid
        data.PixelData = encapsulate(frames)
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        for key, value in values.items():
            setattr(data, key, value)

    return rewritten(change)


def rle(content: bytes, segments: int = 2) -> bytes:
    return struct.pack("<16I", segments, 64, 64 + len(content) // 2, *[0] * 13) + content
