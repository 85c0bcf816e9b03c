"""Hostile volumes: NIfTI, plain and packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmark.datasets.nifti import grey_slices, read_volume
from tests.hostile.case import Case, written
from tests.hostile.pictures import directory, linked, pipe

VOXELS = (np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 10 - 900).astype(np.int16)
AFFINE = np.diag([-2.0, -2, 3, 1])

FIELDS = {
    "sizeof_hdr": (0, 4), "dim_info": (39, 1), **{f"dim {k}": (40 + 2 * k, 2) for k in range(8)},
    "intent_p1": (56, 4), "intent_code": (68, 2), "datatype": (70, 2), "bitpix": (72, 2),
    "slice_start": (74, 2), **{f"pixdim {k}": (76 + 4 * k, 4) for k in range(8)},
    "vox_offset": (108, 4), "scl_slope": (112, 4), "scl_inter": (116, 4), "slice_end": (120, 2),
    "slice_code": (122, 1), "xyzt_units": (123, 1), "cal_max": (124, 4), "descrip": (148, 80),
    "qform_code": (252, 2), "sform_code": (254, 2), "quatern_b": (256, 4), "quatern_c": (260, 4),
    "quatern_d": (264, 4), "qoffset_x": (268, 4), "srow_x": (280, 16), "srow_y": (296, 16),
    "srow_z": (312, 16), "intent_name": (328, 16), "magic": (344, 4), "extension": (348, 4),
}  # fmt: skip
"""Fields of a header: first byte and number of bytes."""


def volume(path: Path, out: Path) -> Any:
    read = read_volume(path)
    return read, grey_slices(read, (-1250.0, 250.0))


def sound(answer: Any) -> bool:
    """Slices, as many bytes as voxels; lengths are lengths or not known."""
    read, grey = answer
    lengths = read.spacing_mm is None or min(read.spacing_mm) > 0
    return grey.dtype == np.uint8 and grey.shape == read.values.shape and grey.ndim == 3 and lengths


def shaped(*shape: int) -> Any:
    return lambda answer: sound(answer) and answer[1].shape == shape


def nifti(voxels: Any = VOXELS, affine: Any = AFFINE, kind: Any = nib.Nifti1Image) -> bytes:
    return bytes(kind(voxels, affine, dtype=voxels.dtype).to_bytes())


def patched(at: int, form: str, *values: Any, content: bytes | None = None) -> bytes:
    """A file with other values in its header."""
    changed = bytearray(nifti() if content is None else content)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def claiming(*dims: int, datatype: int = 4, bits: int = 16) -> bytes:
    """A header that claims this shape, and next to no voxels."""
    padded = (len(dims), *dims, *(1,) * (7 - len(dims)))
    return patched(70, "<hh", datatype, bits, content=patched(40, "<8h", *padded))


def gzipped(head: bytes, count: int) -> bytes:
    """A member of gzip: these bytes and so many zeros, never held whole."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(head)
        for at in range(0, count, 2**20):
            packed.write(bytes(min(2**20, count - at)))
    return file.getvalue()


def rotated(degrees: float) -> Any:
    turn = np.radians(degrees)
    affine = np.diag([2.0, 2, 2, 1])
    affine[:2, :2] = 2 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return affine


def _damaged() -> Iterator[Case]:
    good = nifti()
    for suffix, content in ((".nii", good), (".nii.gz", gzip.compress(good, mtime=0))):
        for share in (0, 2, 10, 25, 50, 75, 85, 90, 95, 99):
            cut = content[: len(content) * share // 100]
            yield Case(f"volume{suffix} cut to {share} %", volume, written(f"cut{suffix}", cut))
        yield Case(
            f"volume{suffix} is read",
            volume,
            written(f"a{suffix}", content),
            "ok",
            right=shaped(5, 4, 3),
        )
        more = written(f"a{suffix}", content + b"garbage" * 9)
        yield Case(
            f"volume{suffix} with garbage behind it", volume, more, "either", right=shaped(5, 4, 3)
        )
    for name, (at, count) in FIELDS.items():
        for how, make in (("set", lambda old: b"\xff" * len(old)), ("one bit turned", _one_bit)):
            changed = good[:at] + make(good[at : at + count]) + good[at + count :]
            yield Case(
                f"field {name}, {how}", volume, written("flip.nii", changed), "either", right=sound
            )
    packed = gzip.compress(good, mtime=0)
    for at in (*range(0, 10), 20, 60, 100, len(packed) - 6, len(packed) - 2):
        changed = packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]
        yield Case(
            f"gzip byte {at} turned", volume, written("flip.nii.gz", changed), "either", right=sound
        )
    parts = gzip.compress(good[:200]) + gzip.compress(good[200:])
    yield Case(
        "gzip in two members", volume, written("a.nii.gz", parts), "ok", right=shaped(5, 4, 3)
    )
    yield Case("gzip in gzip", volume, written("a.nii.gz", gzip.compress(packed)))
    yield Case("gzip that is called nii", volume, written("a.nii", packed))
    yield Case("nii that is called gzip", volume, written("a.nii.gz", good), "either", right=sound)
    yield Case("xz that is called gzip", volume, written("a.nii.gz", lzma.compress(good)))
    yield Case("bz2 that is called gzip", volume, written("a.nii.gz", bz2.compress(good)))


def _one_bit(old: bytes) -> bytes:
    return old[:-1] + bytes([old[-1] ^ 1])


def _sizes() -> Iterator[Case]:
    for name, dims in (
        ("terabytes", (32767, 32767, 32767)),
        ("seven dimensions of 32767", (32767,) * 7),
        ("gigabytes", (2048, 2048, 1024)),
        ("one slice of a gigavoxel", (32767, 32767, 1)),
    ):
        for suffix, packed in ((".nii", False), (".nii.gz", True)):
            made = gzip.compress(claiming(*dims)) if packed else claiming(*dims)
            yield Case(f"{name}{suffix}", volume, written(f"big{suffix}", made))
    says = ("--limit volume_bytes=", "GiB")
    made = claiming(2048, 1024, 512, datatype=64, bits=64)
    yield Case("a volume names its limit", volume, written("a.nii", made), says=says)
    bomb = partial(gzipped, claiming(1024, 1024, 400)[:352], 2 * 1024 * 1024 * 400)
    yield Case(
        "gzip bomb within the limit of voxels",
        volume,
        written("bomb.nii.gz", bomb),
        says=("far more than a scan", "--limit gzip_free_bytes="),
    )
    allowed = partial(gzipped, claiming(512, 512, 512)[:352], 2 * 512**3)
    yield Case(
        "gzip of 256 MiB of zeros",
        volume,
        written("a.nii.gz", allowed),
        "ok",
        right=shaped(512, 512, 512),
    )
    endless = partial(gzipped, claiming(4, 4, 4)[:352], 2**28)
    yield Case(
        "gzip with 256 MiB behind the voxels",
        volume,
        written("a.nii.gz", endless),
        "ok",
        right=shaped(4, 4, 4),
    )
    for axis in range(3):
        dims = [4, 4, 4]
        dims[axis] = 0
        yield Case(f"no voxels along axis {axis}", volume, written("a.nii", claiming(*dims)))
        dims[axis] = -4
        yield Case(
            f"less than no voxels along axis {axis}", volume, written("a.nii", claiming(*dims))
        )
    for count in (-1, 0, 8, 255, 32767):
        made = patched(40, "<h", count)
        yield Case(f"{count} dimensions", volume, written("a.nii", made), "either", right=sound)
    for shape in (
        (4,),
        (4, 5),
        (4, 5, 6),
        (4, 5, 6, 1),
        (4, 5, 6, 2),
        (4, 5, 6, 1, 3),
        (4, 5, 1, 1, 1),
    ):
        flat = {
            (4, 5): (1, 5, 4),
            (4, 5, 6): (6, 5, 4),
            (4, 5, 6, 1): (6, 5, 4),
            (4, 5, 1, 1, 1): (1, 5, 4),
        }
        made = written("a.nii", nifti(np.zeros(shape, np.int16)))
        if shape in flat:
            yield Case(f"shape {shape}", volume, made, "ok", right=shaped(*flat[shape]))
        else:
            yield Case(f"shape {shape}", volume, made, says=("shape",))


def _voxels() -> Iterator[Case]:
    for word, value in (("NaN", np.nan), ("inf", np.inf), ("minus inf", -np.inf)):
        for kind in (np.float32, np.float64):
            odd = VOXELS.astype(kind)
            odd[1, 2, 3] = value
            yield Case(
                f"voxel {word}, {kind.__name__}",
                volume,
                written("a.nii", nifti(odd)),
                says=("NaN or infinite",),
            )
        for field, at in (
            ("slope", 112),
            ("intercept", 116),
            ("qoffset", 268),
            ("srow", 280),
            ("pixdim", 80),
        ):
            made = patched(at, "<f", value)
            yield Case(f"{field} {word}", volume, written("a.nii", made), "either", right=sound)
    for slope in (0.0, -1.0, 1e38, 1e-45):
        made = patched(112, "<ff", slope, 0.0)
        yield Case(f"slope {slope}", volume, written("a.nii", made), "either", right=sound)
    scaled = patched(112, "<ff", 2.0, 10.0)
    yield Case(
        "slope 2, intercept 10",
        volume,
        written("a.nii", scaled),
        "ok",
        right=lambda answer: (
            set(np.unique(answer[0].values)) == {2 * v + 10 for v in VOXELS.ravel()}
        ),
    )
    huge = np.full((3, 4, 5), 1e300)
    yield Case(
        "voxels beyond single precision",
        volume,
        written("a.nii", nifti(huge)),
        "either",
        right=sound,
    )
    for kind in (np.complex64, np.complex128, [("R", "u1"), ("G", "u1"), ("B", "u1")]):
        made = nifti(np.zeros((3, 4, 5), dtype=kind))
        yield Case(
            f"voxels of {np.dtype(kind)}", volume, written("a.nii", made), says=("no grey values",)
        )
    for kind in (
        np.uint8,
        np.int8,
        np.uint16,
        np.int32,
        np.uint32,
        np.int64,
        np.uint64,
        np.float32,
        np.float64,
    ):
        made = nifti((VOXELS * 0 + 5).astype(kind))
        yield Case(
            f"voxels of {np.dtype(kind)}",
            volume,
            written("a.nii", made),
            "ok",
            right=shaped(5, 4, 3),
        )
    swapped = nib.Nifti1Image(VOXELS.astype(">i2"), AFFINE, nib.Nifti1Header(endianness=">"))
    swapped.set_data_dtype(">i2")
    turned = swapped.to_bytes()
    yield Case(
        "big end first",
        volume,
        written("a.nii", turned),
        "ok",
        right=lambda answer: bool(
            (np.sort(answer[0].values.ravel()) == np.sort(VOXELS.ravel())).all()
        ),
    )
    for code in (0, 1, 3, 17, 255, 1536, 2304, 9999):
        made = patched(70, "<h", code)
        yield Case(f"datatype {code}", volume, written("a.nii", made), "either", right=sound)
    for offset in (-1.0, 0.0, 100.0, 348.0, 353.0, 1e9, 3e38, float("nan"), float("inf")):
        made = patched(108, "<f", offset)
        yield Case(
            f"voxels that begin at {offset}", volume, written("a.nii", made), "either", right=sound
        )
    good = nifti()
    for size in (-16, 0, 7, 8, 2**31 - 1):
        extension = b"\1\0\0\0" + struct.pack("<ii", size, 6) + bytes(8)
        made = patched(108, "<f", 368.0, content=good[:348] + extension + good[352:])
        yield Case(
            f"an extension of {size} bytes", volume, written("a.nii", made), "either", right=sound
        )


def _space() -> Iterator[Case]:
    made = nifti(affine=np.diag([1.0, 1, 1, 1]))
    yield Case(
        "axes to the right and front", volume, written("a.nii", made), "ok", right=shaped(5, 4, 3)
    )
    for degrees in (5, 30, 44.9, 60, 90, 200):
        shape = (5, 3, 4) if 45 < degrees % 180 < 135 else (5, 4, 3)
        made = nifti(affine=rotated(degrees))
        yield Case(
            f"turned by {degrees} degrees",
            volume,
            written("a.nii", made),
            "ok",
            right=shaped(*shape),
        )
    for name, order in (("sagittal", (2, 0, 1)), ("coronal", (0, 2, 1))):
        affine = np.zeros((4, 4))
        for axis, world in enumerate(order):
            affine[world, axis] = 2
        affine[3, 3] = 1
        shape = tuple(VOXELS.shape[order.index(world)] for world in (2, 1, 0))
        yield Case(
            f"{name} volume",
            volume,
            written("a.nii", nifti(affine=affine)),
            "ok",
            right=shaped(*shape),
        )
        single = nifti(np.zeros((5, 4, 1), np.int16), affine)
        yield Case(f"{name} slice", volume, written("a.nii", single), says=("not axial",))
    for name, row in (
        ("no directions", (0, 0, 0)),
        ("two equal axes", (1, 1, 0)),
        ("tiny", (1e-30, 0, 0)),
        ("vast", (1e30, 0, 0)),
    ):
        made = patched(280, "<4f", *row, 0)
        yield Case(f"affine with {name}", volume, written("a.nii", made), "either", right=sound)
    none = patched(280, "<12f", *(0.0,) * 12)
    yield Case("an affine of zeros", volume, written("a.nii", none))
    for size in (0.0, -1.0, 1e-30, 1e30):
        made = patched(252, "<hh", 1, 0, content=patched(80, "<3f", size, size, size))
        yield Case(f"voxels of {size} mm", volume, written("a.nii", made), "either", right=sound)
    for unit in (0, 1, 2, 3, 7, 255):
        made = patched(123, "<B", unit)
        yield Case(f"unit {unit}", volume, written("a.nii", made), "ok", right=shaped(5, 4, 3))


def _kinds() -> Iterator[Case]:
    made = nifti(kind=nib.Nifti2Image)
    yield Case("NIfTI-2", volume, written("a.nii", made), "ok", right=shaped(5, 4, 3))
    changed = bytearray(made)
    struct.pack_into("<8q", changed, 16, 3, 2**40, 2**40, 2**40, 1, 1, 1, 1)
    yield Case("NIfTI-2 of 2**120 voxels", volume, written("a.nii", bytes(changed)))
    struct.pack_into("<8q", changed, 16, 3, -(2**40), 4, 5, 1, 1, 1, 1)
    yield Case("NIfTI-2 of less than no voxels", volume, written("a.nii", bytes(changed)))
    mgh = nib.MGHImage(VOXELS.astype(np.float32), AFFINE).to_bytes()
    yield Case("MGH that is called nii", volume, written("a.nii", mgh))
    yield Case(
        "half of a pair",
        volume,
        written("a.nii", patched(344, "4s", b"ni1\0")),
        "either",
        right=sound,
    )
    for name, content in (
        ("text", b"hello" * 100),
        ("zeros", bytes(500)),
        ("ones", b"\xff" * 500),
        ("png", b"\x89PNG\r\n\x1a\n" + bytes(400)),
        ("empty", b""),
    ):
        yield Case(f"{name} that is called nii", volume, written("a.nii", content))
        yield Case(f"{name} that is called nii.gz", volume, written("a.nii.gz", content))
        yield Case(f"packed {name}", volume, written("a.nii.gz", gzip.compress(content)))
    yield Case(
        "volume that is missing",
        volume,
        lambda folder: folder / "none.nii",
        says=("does not exist",),
    )
    yield Case("volume that is a pipe", volume, pipe)
    yield Case("volume that is a folder", volume, directory)
    for target in ("/dev/zero", "/dev/null", "nowhere", "link.png"):
        yield Case(f"volume that leads to {target}", volume, linked(target))
    for word, name in (
        ("spaces", "a b .nii"),
        ("Unicode", "肺 é.nii"),
        ("a newline", "a\nb.nii"),
        ("255 bytes", "x" * 251 + ".nii"),
    ):
        yield Case(f"name with {word}", volume, written(name, nifti()), "ok", right=shaped(5, 4, 3))
        yield Case(f"name with {word}, damaged", volume, written(name, nifti()[:300]))


CASES = (*_damaged(), *_sizes(), *_voxels(), *_space(), *_kinds())
