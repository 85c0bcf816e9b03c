"""What is written for one image: masks, pictures, and the page of facts that vouches for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from benchmark.datasets.dicom_seg import Made, read_source, seg_bytes
from benchmark.datasets.inputs import (
    Scan,
    kind_of,
    mask_suffix,
    mask_writer,
    read_scan,
    source_files,
    stem_of,
)
from benchmark.involvement import involvement
from benchmark.window import Window
from reports.figures.drawing import BLUE, PALETTE
from reports.figures.overlay import outlined
from results.files import sha256_file, write_atomically
from results.provenance import covbench_version
from results.spec import canonical_json, sha256
from runners.predicting.chain import Chain
from runners.predicting.facts import Facts, Overlays
from zoo.errors import CovbenchError, one_line
from zoo.limits import read_limited

_LONGEST = 150
"""Bytes of a name, so that its endings and the name while it is written are 255 at most."""

Bytes = npt.NDArray[np.uint8]
Tell = Callable[[int, int], object]


@dataclass(frozen=True)
class Wish:
    """What is wanted of every image.

    Attributes:
        chain: The networks.
        hounsfield: The Hounsfield units that become black and white.
        given: The stored values that do so instead, where the user gave them.
        overlays: Which slices are drawn: some that hold prediction, all, or none.
        seg: Whether a series also gets a DICOM segmentation.
    """

    chain: Chain
    hounsfield: Window
    given: Window | None
    overlays: Overlays
    seg: bool = False


@dataclass(frozen=True)
class Target:
    """An image and where its results go."""

    path: Path
    base: Path

    @property
    def mask(self) -> Path:
        """The mask, in the image's own format where it can hold one."""
        return self._named("_mask" + mask_suffix(self.path))

    @property
    def lung_mask(self) -> Path:
        """The lungs that were looked for beside the target."""
        return self._named("_lungs" + mask_suffix(self.path))

    @property
    def seg(self) -> Path:
        """The DICOM segmentation of a series: the target, and the lungs beside it."""
        return self._named("_mask.dcm")

    @property
    def facts(self) -> Path:
        """What made them."""
        return self._named("_mask.json")

    def overlay(self, place: int, scan: Scan) -> Path:
        """The picture of a slice, counted from 0 at the feet."""
        if scan.kind == "picture":
            return self._named("_overlay.png")
        return self._named("_overlays") / f"slice{place:04}.png"

    def _named(self, ending: str) -> Path:
        return self.base.with_name(self.base.name + ending)


def targets_of(paths: Sequence[Path], root: Path, out: Path) -> list[Target]:
    """Where the results of images go: below `out` as the images lie below `root`.

    Two images of one name but for the format keep the format in the names of their results.
    """
    bases = [_base(path, root, out, stem_of(path)) for path in paths]
    return [
        Target(path, base if bases.count(base) == 1 else _base(path, root, out, path.name))
        for path, base in zip(paths, bases, strict=True)
    ]


def _base(path: Path, root: Path, out: Path, name: str) -> Path:
    below = path.parent.relative_to(root) if root in path.parents else Path()
    name = name or "series"
    if len(os.fsencode(name)) > _LONGEST:  # with its endings it would be no name of a file
        mark = sha256(os.fsencode(name))[:12]
        name = f"{os.fsencode(name)[: _LONGEST - 13].decode(errors='ignore')}-{mark}"
    return out / below / name


def begin(target: Target, wish: Wish) -> Facts:
    """What is asked for an image, before anything is computed.

    Raises:
        CovbenchError: The image can't be read.
    """
    chain = wish.chain
    return Facts(
        input=one_line(str(target.path)),
        input_sha256=_hash(target.path),
        run=chain.target.run.record.spec.id,
        title=chain.target.run.record.spec.title,
        lung_run=chain.lungs.run.record.spec.id if chain.lungs else None,
        source_changed=any(each.changed for each in chain.predictors),
        hounsfield=wish.hounsfield,
        given=wish.given,
        overlays=wish.overlays,
        seg=wish.seg and kind_of(target.path) == "dicom",
        classes=chain.target.classes,
    )


def finished(target: Target, asked: Facts) -> Facts | None:
    """What an earlier call wrote for an image, where it is the same that is asked for now.

    Raises:
        CovbenchError: Other results lie in their place.
    """
    try:
        found = Facts.model_validate_json(read_limited(target.facts, "manifest_bytes"))
        # Who has the segmentation has the rest too.
        if found.asked in (asked.asked, {**asked.asked, "seg": True}):
            whole = (
                found.mask != ""
                and sha256_file(target.mask) == found.mask
                and (not found.lung_mask or sha256_file(target.lung_mask) == found.lung_mask)
                and (not found.seg_file or sha256_file(target.seg) == found.seg_file)
            )
            if whole:
                return found
            if not found.mask:  # that call was interrupted, and this one does it again
                return None
    except (OSError, ValidationError, ValueError, CovbenchError):
        pass  # something else of that name
    wanted = {
        target.mask: True,
        target.lung_mask: asked.lung_run is not None,
        target.seg: asked.seg,
    }
    there = next((path for path, needed in wanted.items() if needed and path.exists()), None)
    if there is None:
        return None
    raise CovbenchError(
        f"{there} is there already, from another run, image or option.",
        "Choose another --out, or write over it with --force.",
    )


def make(target: Target, asked: Facts, chain: Chain, tell: Tell) -> Facts:
    """Predict one image and write its files, the facts last.

    Args:
        target: The image and where its results go.
        asked: From `begin`.
        chain: The networks.
        tell: Called with the slices done and the slices in all.

    Raises:
        CovbenchError: The image can't be read, or a network's output is not finite.
    """
    _check_place(target)
    scan = read_scan(target.path, asked.hounsfield, asked.given)
    source = read_source(target.path) if asked.seg else None  # before the work, that it can be done
    mask = np.zeros(scan.grey.shape, dtype=np.uint8)
    lungs = np.zeros_like(mask) if chain.lungs else None
    for place, one in enumerate(chain.slices(scan.grey)):
        mask[place] = one.mask
        if lungs is not None and one.lung is not None:
            lungs[place] = one.lung
        tell(place + 1, len(mask))
    _forget(target)
    # Until the end, the facts say what is being written and vouch for nothing.
    write_atomically(target.facts, asked.model_dump_json(indent=1))
    write_atomically(target.mask, mask_writer(scan, mask, several=bool(asked.classes)))
    if lungs is not None:
        write_atomically(target.lung_mask, mask_writer(scan, lungs))
    if source is not None:
        segments = _segments(chain, mask, lungs, asked.classes)
        made = Made(covbench_version(), asked.run, asked.title)
        assert scan.affine is not None, "a series lies somewhere"
        write_atomically(target.seg, seg_bytes(source, segments, scan.affine, made))
    _draw(target, scan, mask, lungs, asked.overlays, _colours(chain, asked.classes))
    infected, within = (None, mask) if chain.only_lungs else (mask, lungs)
    facts = asked.model_copy(
        update={
            "window": scan.window,
            "slices": len(mask),
            "voxel_ml": scan.voxel_ml,
            "parts": involvement(scan.grey, infected, within, scan.voxel_ml, asked.classes),
            "mask": sha256_file(target.mask),
            "lung_mask": sha256_file(target.lung_mask) if lungs is not None else None,
            "seg_file": sha256_file(target.seg) if source is not None else None,
        }
    )
    write_atomically(target.facts, facts.model_dump_json(indent=1))
    return facts


def _forget(target: Target) -> None:
    """Remove what an earlier call wrote beside the mask, since this one may not write it again."""
    try:
        old = Facts.model_validate_json(read_limited(target.facts, "manifest_bytes"))
        for path, known in ((target.lung_mask, old.lung_mask), (target.seg, old.seg_file)):
            unfinished = not old.mask and (old.seg if path == target.seg else old.lung_run)
            if path.is_file() and (unfinished or (known and sha256_file(path) == known)):
                path.unlink()
    except (OSError, ValueError, CovbenchError):
        return  # nothing of ours


def _segments(
    chain: Chain, mask: Bytes, lungs: Bytes | None, classes: Mapping[int, str]
) -> list[tuple[str, Bytes]]:
    """What was looked for, each with its name; the lungs of a lung network last."""
    if classes:
        found = [(name, (mask == label).astype(np.uint8)) for label, name in classes.items()]
    else:
        found = [("lung" if chain.only_lungs else "infection", mask)]
    return found if lungs is None else [*found, ("lung", lungs)]


def _check_place(target: Target) -> None:
    """Refuse a folder of pictures that a link leads elsewhere: its old pictures are deleted."""
    folder = target.base.with_name(target.base.name + "_overlays")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CovbenchError(
            f"{folder} is a link or a file, where pictures of slices would go.",
            "Choose another --out, or remove it.",
        )


def _colours(chain: Chain, classes: Mapping[int, str]) -> dict[int, str]:
    """The colour of each label of the mask; that of the lungs is theirs alone."""
    if chain.only_lungs:
        return {1: BLUE}
    others = [each for each in PALETTE if each not in (BLUE, "#000000")]  # seen on any grey
    return {label: others[(label - 1) % len(others)] for label in classes or (1,)}


def _draw(
    target: Target,
    scan: Scan,
    mask: Bytes,
    lungs: Bytes | None,
    overlays: Overlays,
    colours: Mapping[int, str],
) -> None:
    """Draw slices with the lungs, and what has each label in its colour."""
    import cv2

    one = target.overlay(0, scan)
    for old in () if scan.kind == "picture" else one.parent.glob("slice*.png"):
        old.unlink()
    places: Iterable[int] = () if overlays == "none" else range(len(mask))
    for place in places:
        if overlays == "some" and scan.kind != "picture" and not mask[place].any():
            continue
        regions = [((mask[place] == label).astype(np.uint8), colours[label]) for label in colours]
        if lungs is not None:
            regions.insert(0, (lungs[place], BLUE))
        picture = outlined(scan.grey[place], regions)
        encoded = cv2.imencode(".png", picture[:, :, ::-1])[1]
        write_atomically(target.overlay(place, scan), encoded.tobytes())


def _hash(path: Path) -> str:
    try:
        files = {each.name: sha256_file(each) for each in source_files(path)}
    except OSError as error:
        raise CovbenchError(
            f"{path} can't be read ({error.strerror}).", "Check the path and your rights."
        ) from error
    return sha256(canonical_json(files)) if path.is_dir() else next(iter(files.values()))
