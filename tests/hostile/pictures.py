"""Hostile pictures and masks: PNG, JPEG, TIFF."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from benchmark.datasets.readers import read_image, read_mask
from tests.hostile.case import Case, written

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
BINARY = (RAMP > 100).astype(np.uint8)


def image(path: Path, out: Path) -> Any:
    return read_image(path)


def windowed(path: Path, out: Path) -> Any:
    return read_image(path, (0.0, 1000.0))


def mask(path: Path, out: Path) -> Any:
    return read_mask(path, {0: 0, 1: 1, 255: 1})


def grey(answer: Any) -> bool:
    """What every reader of pictures owes: a plane of bytes."""
    return answer.dtype == np.uint8 and answer.ndim == 2 and answer.size > 0


def ramp(answer: Any) -> bool:
    return bool((answer == RAMP).all())


def saved(array: Any, kind: str, **options: Any) -> bytes:
    """A picture in a format."""
    file = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def png(
    width: int, height: int, pixels: bytes, *more: bytes, depth: int = 8, kind: int = 0
) -> bytes:
    """A PNG made by hand, whatever its header claims."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = (chunk(b"IHDR", head), *more, chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zeros(count: int) -> bytes:
    """So many zeros, deflated, never held whole."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(2**20, count - at))) for at in range(0, count, 2**20)]
    return b"".join(parts) + packer.flush()


def tiff(entries: list[tuple[int, int, int, int]], content: bytes = bytes(64)) -> bytes:
    """A TIFF with these entries of its directory: tag, type, count, value; pixels at byte 8."""
    at = 8 + len(content)
    table = b"".join(struct.pack("<HHII", *each) for each in entries)
    head = b"II*\0" + struct.pack("<I", at) + content
    return head + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)


def plain_tiff(width: int, height: int, content: bytes = bytes(64), **changes: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags[279] = len(content)
    tags |= {int(tag[1:]): value for tag, value in changes.items()}
    return tiff([(tag, 4, 1, value) for tag, value in sorted(tags.items())], content)


def truncated(reader: Callable[..., Any], stem: str, content: bytes) -> Iterator[Case]:
    """The beginnings of a file; of the last ones nothing but an end mark may be missing."""
    suffix = Path(stem).suffix
    for share in (0, 1, 4, 10, 20, 35, 50, 70, 85, 97):
        size = len(content) * share // 100
        lost = share <= 50
        yield Case(
            f"{stem} cut to {share} %",
            reader,
            written(f"cut{suffix}", content[:size]),
            "error" if lost else "either",
            right=grey,
        )


def flipped(reader: Callable[..., Any], stem: str, content: bytes, at: range) -> Iterator[Case]:
    """A file with every bit of one byte turned, for some bytes."""
    suffix = Path(stem).suffix
    for place in at:
        changed = bytearray(content)
        changed[place] ^= 0xFF
        yield Case(
            f"{stem} byte {place} turned",
            reader,
            written(f"flip{suffix}", bytes(changed)),
            "either",
            right=grey,
        )


def linked(to: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "link.png"
        path.symlink_to(to)
        return path

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def directory(folder: Path) -> Path:
    (folder / "folder.png").mkdir()
    return folder / "folder.png"


def true_link(folder: Path) -> Path:
    (folder / "real.png").write_bytes(saved(RAMP, "PNG"))
    return linked(str(folder / "real.png"))(folder)


def many_pages() -> bytes:
    pages = [Image.fromarray(RAMP) for _ in range(3)]
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def text_bomb() -> bytes:
    """A PNG whose comment unpacks to 64 MiB."""
    return png(8, 6, zeros(54), chunk(b"zTXt", b"Comment\0\0" + zeros(2**26)))


def with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("k" * 79, "<script>" * 1000, zip=True)
    return saved(RAMP, "PNG", pnginfo=info)


def _filled(side: int, kind: int, channels: int) -> bytes:
    """A square PNG of zeros as large as its header claims."""
    return png(side, side, zeros(side * (side * channels + 1)), kind=kind)


def _cases() -> Iterator[Case]:
    good = {".png": saved(RAMP, "PNG"), ".jpg": saved(RAMP, "JPEG"), ".tif": saved(RAMP, "TIFF")}
    packed = saved(RAMP, "TIFF", compression="tiff_lzw")
    for suffix, content in (*good.items(), ("lzw.tif", packed)):
        yield from truncated(image, f"image{suffix}", content)
    yield from truncated(mask, "mask.png", saved(BINARY, "PNG"))
    yield from flipped(image, "image.png", good[".png"], range(0, 58, 2))
    yield from flipped(image, "image.jpg", good[".jpg"], range(0, 200, 10))
    yield from flipped(image, "image.tif", good[".tif"], range(0, 8))
    yield from flipped(mask, "mask.tif", saved(BINARY, "TIFF"), range(0, 160, 10))

    for name, width, height in (
        ("terapixels", 2**31 - 1, 2**31 - 1),
        ("more pixels than a word counts", 2**32 - 1, 2),
        ("a wide one", 2**30, 1),
        ("just above the limit", 8192, 8193),
        ("nine gigapixels", 100_000, 90_000),
    ):
        made = png(width, height, zeros(100))
        yield Case(f"png of {name}", image, written("big.png", made))
        yield Case(f"mask png of {name}", mask, written("big.png", made))
    says = ("--limit image_pixels=67117056", "claims more than 67,108,864 pixels")
    yield Case("png names its limit", image, written("a.png", png(8192, 8193, b"")), says=says)
    yield Case("png of no width", image, written("a.png", png(0, 6, zeros(6))))
    yield Case("png of no height", image, written("a.png", png(8, 0, zeros(6))))
    yield Case("png of depth 3", image, written("a.png", png(8, 6, zeros(54), depth=3)))
    yield Case("png of kind 9", image, written("a.png", png(8, 6, zeros(54), kind=9)))
    yield Case("png with too few pixels", image, written("a.png", png(800, 600, zeros(54))))
    bomb = written("bomb.png", lambda: png(8, 6, zeros(2**27)))
    yield Case("png that unpacks to more than it claims", image, bomb, "either", right=grey)
    for kind, channels in ((0, 1), (2, 3), (6, 4)):
        made = partial(_filled, 4096, kind, channels)
        yield Case(
            f"png bomb within limits, {channels} channels",
            image,
            written("a.png", made),
            "ok",
            right=lambda answer: answer.shape == (4096, 4096),
        )
    largest = partial(_filled, 8192, 6, 4)
    size = (8192, 8192)
    yield Case(
        "largest png, colour",
        image,
        written("a.png", largest),
        "ok",
        right=lambda answer: answer.shape == size,
    )
    yield Case(
        "largest png, as a mask",
        mask,
        written("a.png", largest),
        "ok",
        right=lambda answer: answer.shape == size,
    )
    yield Case("png with a comment of 64 MiB", image, written("a.png", text_bomb), "either")
    yield Case(
        "png with a script in a comment", image, written("a.png", with_text()), "ok", right=ramp
    )
    palette = png(8, 6, zeros(54), kind=3)
    yield Case("png with a palette that is missing", image, written("a.png", palette), "either")
    yield Case(
        "animated png",
        image,
        written(
            "a.png",
            saved(
                Image.fromarray(RAMP),
                "PNG",
                save_all=True,
                append_images=[Image.fromarray(255 - RAMP)],
            ),
        ),
    )
    for at in (b"IHDR", b"IDAT", b"IEND"):
        made = good[".png"].replace(at, b"XXXX")
        yield Case(
            f"png without {at.decode()}",
            image,
            written("a.png", made),
            "either" if at == b"IEND" else "error",
            right=ramp,
        )

    jpeg = bytearray(good[".jpg"])
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 65500, 65500)
    yield Case("jpeg of four gigapixels", image, written("big.jpg", bytes(jpeg)))
    jpeg[frame : frame + 4] = struct.pack(">HH", 0, 0)
    yield Case("jpeg of no size", image, written("a.jpg", bytes(jpeg)))
    yield Case(
        "jpeg in CMYK",
        image,
        written("a.jpg", saved(Image.new("CMYK", (8, 6)), "JPEG")),
        "ok",
        right=grey,
    )
    yield Case("a mask as jpeg", mask, written("a.jpg", good[".jpg"]), says=("alters labels",))
    yield Case("a mask as jpeg that is called png", mask, written("a.png", good[".jpg"]))

    yield Case("tiff of four gigapixels", image, written("a.tif", plain_tiff(65535, 65535)))
    yield Case("tiff of no width", image, written("a.tif", plain_tiff(0, 6)))
    yield Case("tiff with 2**32 rows", image, written("a.tif", plain_tiff(8, 2**32 - 1)))
    yield Case(
        "tiff with pixels beyond its end", image, written("a.tif", plain_tiff(8, 6, t273=2**31))
    )
    yield Case(
        "tiff with a lying count",
        image,
        written("a.tif", plain_tiff(8, 6, t279=2**32 - 1)),
        "either",
        right=grey,
    )
    for tag, value in (
        (258, 0),
        (258, 64),
        (259, 99),
        (262, 77),
        (277, 0),
        (277, 60_000),
        (278, 0),
    ):
        made = plain_tiff(8, 6, **{f"t{tag}": value})
        yield Case(
            f"tiff with tag {tag} = {value}", image, written("a.tif", made), "either", right=grey
        )
    yield Case(
        "tiff that unpacks to more than it claims",
        image,
        written("a.tif", lambda: plain_tiff(8, 6, zeros(2**26), t259=8)),
        "either",
        right=grey,
    )
    loop = tiff([(256, 4, 1, 8)])
    loop = loop[:-4] + struct.pack("<I", 72)
    yield Case("tiff whose directory leads to itself", image, written("a.tif", loop))
    huge = tiff([(256, 4, 2**32 - 1, 8), (257, 4, 2**32 - 1, 8)])
    yield Case("tiff with tags of four billion values", image, written("a.tif", huge))
    for word, value in (("NaN", np.nan), ("inf", np.inf), ("minus inf", -np.inf)):
        odd = RAMP.astype(np.float32)
        odd[2, 3] = value
        made = written("a.tif", saved(odd, "TIFF"))
        yield Case(f"tiff with {word}", windowed, made, says=("NaN or infinite",))
        yield Case(f"tiff with {word}, no window", image, made)
        yield Case(f"mask tiff with {word}", mask, made)
    extreme = np.full((6, 8), 3e38, dtype=np.float32)
    yield Case(
        "tiff with the largest floats",
        windowed,
        written("a.tif", saved(extreme, "TIFF")),
        "ok",
        right=lambda answer: bool((answer == 255).all()),
    )
    yield Case("tiff of three pages", image, written("a.tif", many_pages()), says=("3 pages",))
    deep = written("a.png", saved(RAMP.astype(np.uint16) * 200, "PNG"))
    yield Case("16 bits without a window", image, deep, says=("--option window",))
    yield Case("16 bits with a window", windowed, deep, "ok", right=grey)

    for suffix, content in (
        ("gif", saved(RAMP, "GIF")),
        ("bmp", saved(RAMP, "BMP")),
        ("webp", saved(Image.fromarray(RAMP).convert("RGB"), "WEBP")),
        ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("svg", b"<svg onload='alert(1)'/>"),
        ("html", b"<html>"),
        ("gzip", b"\x1f\x8b" + bytes(30)),
        ("noise", bytes(range(256))),
    ):
        yield Case(f"{suffix} that is called png", image, written("a.png", content))
    yield Case("empty picture", image, written("empty.png", b""))
    yield Case(
        "picture that is missing",
        image,
        lambda folder: folder / "none.png",
        says=("does not exist",),
    )
    yield Case("picture that is a folder", image, directory)
    yield Case("picture that is a pipe", image, pipe, says=("no plain file",))
    yield Case("mask that is a pipe", mask, pipe, says=("no plain file",))
    for target in ("/dev/zero", "/dev/null", "/dev/random"):
        yield Case(f"picture that leads to {target}", image, linked(target))
    yield Case("picture that leads to nothing", image, linked("nowhere"))
    yield Case("picture that leads to itself", image, linked("link.png"))
    yield Case("picture behind a link", image, true_link, "ok", right=ramp)
    for word, name in (
        ("spaces", "a b  c .png"),
        ("Unicode", "Лёгкое 肺 🫁 é.png"),
        ("a newline", "a\nb.png"),
        ("escapes", "a\x1b[31mb.png"),
        ("255 bytes", "x" * 251 + ".png"),
        ("quotes", "a'\"`$(id).png"),
        ("a dash", "-rf.png"),
        ("bytes that are no text", "a\udcff.png"),
        ("a turned direction", "a\u202egnp.png"),
    ):
        yield Case(f"name with {word}", image, written(name, good[".png"]), "ok", right=ramp)
        yield Case(f"name with {word}, damaged", image, written(name, good[".png"][:40]))

    colours = np.dstack([RAMP, RAMP, 255 - RAMP])
    yield Case("coloured mask", mask, written("a.png", saved(colours, "PNG")), says=("coloured",))
    yield Case(
        "mask with labels that nothing maps",
        mask,
        written("a.png", saved(RAMP, "PNG")),
        says=("nothing maps", "label_map="),
    )
    half = saved(BINARY.astype(np.float32) / 2, "TIFF")
    yield Case("mask with halves", mask, written("a.tif", half), says=("0.5",))
    negative = saved(BINARY.astype(np.int32) * -1, "TIFF")
    yield Case("mask with negative labels", mask, written("a.tif", negative), says=("-1",))
    many = np.arange(2**16, dtype=np.int32).reshape(256, 256)
    yield Case(
        "mask with 65,536 labels", mask, written("a.tif", saved(many, "TIFF")), says=("more",)
    )


CASES = tuple(_cases())
