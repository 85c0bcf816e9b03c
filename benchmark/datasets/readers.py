"""Read a picture or a mask from PNG, JPEG or TIFF, trusting nothing about the file.

What comes back is 8-bit: grey values of an image, class labels of a mask. Every failure is a
`CovbenchError` that names the file. NIfTI volumes: `benchmark.datasets.nifti`.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.labels import IGNORE
from benchmark.window import Window
from zoo.errors import CovbenchError, reason_of
from zoo.limits import limits, raising

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

Grey = NDArray[np.uint8]

_FEW = 4096  # stored labels that a table can list

# What Pillow's decoders have been seen to raise on damaged files.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
)


def read_image(path: Path, window: Window | None = None) -> Grey:
    """One picture as grey values.

    Args:
        path: A PNG, JPEG or TIFF file. Colour is turned to grey; a palette is followed.
        window: Stored values that become 0 and 255, linear between and clipped beyond. Without
            it an 8-bit picture is taken as it is and a deeper one is refused.

    Returns:
        (H, W) uint8.

    Raises:
        CovbenchError: The file is damaged, empty, too large, no such picture, holds several
            pages or values that are not finite, or needs a window.
    """
    with _opened(path) as picture:
        return _grey(picture, path, window)


def read_images(path: Path, window: Window | None = None) -> list[Grey]:
    """All pages of a picture as `read_image` gives one; only a TIFF can have several."""
    return [_grey(picture, path, window) for picture in _pages(path)]


def page_count(path: Path) -> int:
    """How many pages a picture has.

    Raises:
        CovbenchError: The file is damaged.
    """
    with _opened(path, pages=True) as picture:
        return int(getattr(picture, "n_frames", 1))


def _grey(picture: Image.Image, path: Path, window: Window | None) -> Grey:
    deep = picture.mode.startswith(("I", "F"))
    values = np.asarray(picture if deep else picture.convert("L"))
    if values.dtype != np.uint8 and window is None:
        raise CovbenchError(
            f"{path} stores {values.dtype} values from {values.min()} to {values.max()}, "
            "which have no standard grey scale.",
            "Give the window that becomes black and white, for example "
            "--option window=-1250,250 "
            "where they are Hounsfield units.",
        )
    return to_grey(values, window, path) if window else np.array(values, dtype=np.uint8)


def read_colour(path: Path) -> Image.Image:
    """One picture in red, green and blue, such as a photograph of ImageNet.

    Args:
        path: A PNG, JPEG or TIFF file, whatever its suffix. Grey and CMYK become colour, a palette
            is followed, transparency is dropped.

    Returns:
        The decoded picture, of mode RGB.

    Raises:
        CovbenchError: As `read_image`, or more than 8 bits are stored.
    """
    with _opened(path) as picture:
        if picture.mode.startswith(("I", "F")):
            raise CovbenchError(
                f"{path} stores values of mode {picture.mode}, not 8-bit colour.",
                "Save it as an 8-bit PNG or JPEG.",
            )
        return picture.convert("RGB")


def read_mask(path: Path, label_map: Mapping[int, int]) -> Grey:
    """One mask as class labels.

    Args:
        path: A PNG or TIFF file of one channel, or with equal channels. A palette PNG counts by
            its stored indices, not by its colours. JPEG is refused: it alters labels.
        label_map: Stored value to class; 255 as a class means "ignore".

    Returns:
        (H, W) uint8.

    Raises:
        CovbenchError: As `read_image`, or a stored value is not in `label_map`.
    """
    with _opened(path) as picture:
        return to_labels(_stored(picture, path), label_map, path)


def read_stored(path: Path) -> list[NDArray[np.generic]]:
    """The stored values (H, W) of all pages of a mask, as `read_mask` reads them of one.

    Raises:
        CovbenchError: As `read_mask`, but for the labels.
    """
    return [_stored(picture, path) for picture in _pages(path)]


def _stored(picture: Image.Image, path: Path) -> NDArray[np.generic]:
    if picture.format == "JPEG":
        raise CovbenchError(
            f"The mask {path} is a JPEG, whose compression alters labels.",
            "Save the masks as PNG from the program that drew them.",
        )
    values = np.array(picture)
    if values.ndim == 3:
        colour = values[..., :-1] if picture.mode in ("LA", "RGBA") else values
        if (colour != colour[..., :1]).any():
            raise CovbenchError(
                f"The mask {path} is coloured ({picture.mode}): its labels can't be told.",
                "Save it as one channel that stores a number per class.",
            )
        values = colour[..., 0]
    return values


def to_grey(values: NDArray[np.generic], window: Window, path: Path) -> Grey:
    """Stored values to grey: `window` becomes 0..255, clipped, rounded half to even.

    Raises:
        CovbenchError: A value is NaN or infinite.
    """
    check_finite(values, path)
    low, high = window
    grey = np.empty(values.shape, dtype=np.uint8)
    for target, plane in zip(grey, values, strict=True):  # one at a time spares memory
        scaled = (plane.astype(np.float64) - low) * (255 / (high - low))
        target[...] = np.rint(np.clip(scaled, 0, 255))
    return grey


def to_labels(values: NDArray[np.generic], label_map: Mapping[int, int], path: Path) -> Grey:
    """Stored values to class labels.

    Raises:
        CovbenchError: A value is NaN, infinite, no whole number or not in `label_map`.
    """
    check_finite(values, path)
    labels = np.empty(values.shape, dtype=np.uint8)
    unmapped: set[float] = set()
    for target, plane in zip(labels, values, strict=True):
        low, high = plane.min().item(), plane.max().item()
        if plane.dtype.kind in "iu" and high - low < _FEW:
            stored = list(range(low, high + 1))
            place = plane.astype(np.intp) - low
            present = np.flatnonzero(np.bincount(place.ravel(), minlength=len(stored))).tolist()
        else:  # sorting takes some thirty times as long
            found, place = np.unique(plane, return_inverse=True)
            stored = found.tolist()
            present = list(range(len(stored)))
        unmapped.update(stored[k] for k in present if stored[k] not in label_map)
        classes = np.array([label_map.get(value, IGNORE) for value in stored], np.uint8)
        target[...] = classes[place].reshape(plane.shape)
    if unmapped:
        unknown = sorted(unmapped)
        listed = ", ".join(f"{value:g}" for value in unknown[:10])
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        known = ", ".join(str(value) for value in sorted(label_map))
        raise CovbenchError(
            f"The mask {path} holds labels that nothing maps to a class: {listed}{more} "
            f"(mapped: {known}).",
            "Mend the mask, or say what each stored value means with "
            "--option label_map=value:class,… "
            "(255 as a class is left out of training and scoring).",
        )
    return labels


def check_finite(values: NDArray[np.generic], path: Path) -> None:
    """Refuse NaN and infinite values.

    Raises:
        CovbenchError: There is one.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise CovbenchError(
            f"{path} holds {count} values that are NaN or infinite.",
            "Replace them (air is -1024 HU) in the program that wrote the file, then try again.",
        )


def _pages(path: Path) -> Iterator[Image.Image]:
    """The pages of a picture, one after the other, each decoded."""
    with _opened(path, pages=True) as picture:
        pixels = 0
        for page in range(getattr(picture, "n_frames", 1)):
            picture.seek(page)
            pixels += picture.width * picture.height
            if pixels > limits().volume_voxels or page >= limits().dataset_files:
                raise CovbenchError(
                    f"{path} holds {pixels:,} pixels in its first {page + 1:,} pages.",
                    f"Check that it is a CT volume. {raising('volume_voxels', pixels)}",
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture.load()
            yield picture


@contextmanager
def _opened(path: Path, *, pages: bool = False) -> Iterator[Image.Image]:
    """A decoded picture, opened only after its size was checked; of one page, unless `pages`."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise CovbenchError(f"{path} is no plain file.", "Put a picture file in its place.")
        Image.MAX_IMAGE_PIXELS = limits().image_pixels  # Pillow's own check comes first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damage, which is told below or mended
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=("PNG", "JPEG", "TIFF"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        claimed = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(path, int(claimed[1]) if claimed else None) from error
    except _BROKEN as error:
        raise _damaged(path, error) from error
    with picture:
        width, height = picture.size
        if width * height > limits().image_pixels:
            raise _too_large(path, width * height)
        if width == 0 or height == 0:
            raise CovbenchError(f"{path} is {width}x{height}: it has no pixels.", _AGAIN)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                count = getattr(picture, "n_frames", 1)
                if count == 1:
                    picture.load()
            if count != 1 and not pages:
                raise CovbenchError(
                    f"{path} holds {count} pages; one slice per file is expected.",
                    "Save each page as a file of its own, or the stack as NIfTI.",
                )
            yield picture
        except _BROKEN as error:
            raise _damaged(path, error) from error


_AGAIN = "Download or export the file again."


def _too_large(path: Path, pixels: int | None) -> CovbenchError:
    return CovbenchError(
        f"{path} claims more than {limits().image_pixels:,} pixels and was not opened.",
        f"Check that it is a slice of a CT. {raising('image_pixels', pixels)}",
    )


def _damaged(path: Path, error: Exception) -> CovbenchError:
    if isinstance(error, FileNotFoundError):
        return CovbenchError(f"{path} does not exist.", "Check the path.")
    if isinstance(error, PermissionError):
        return CovbenchError(f"{path} may not be read.", "Give yourself the right to read it.")
    return CovbenchError(
        f"{path} is damaged or no PNG, JPEG or TIFF picture ({reason_of(error)}).", _AGAIN
    )
