"""How much of each lung a mask takes: which lung is which, voxels, millilitres, percent.

Slices are displayed as those of every dataset, so the patient's right lung lies at the left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmark.labels import ALL

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_TISSUE = 128
"""Grey from which a pixel counts as soft tissue in a lung window (-497 HU in -1250..250)."""

_LABELS = 256

_REGIONS = {"right": slice(0, 1), "left": slice(1, 2), "both": slice(0, 2)}

_JOINED = 0.2
"""Share of a connected area on either side of the midline from which it is both lungs at once."""


Voxels = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class Part:
    """One region of an image and what of it is infected.

    Attributes:
        region: "right", "left" or "both" lungs, counting what lies inside; or "everywhere", the
            whole mask, in the lungs or not.
        lung_voxels: Voxels of the region, None of "everywhere".
        infected_voxels: Those of them that are infected; None where only lungs were looked for.
        lung_ml: The region in millilitres, None where voxels have no known size.
        infected_ml: What is infected of it, likewise.
        lesion: The kind of lesion that is counted; empty where there is one kind.
    """

    region: Literal["right", "left", "both", "everywhere"]
    lung_voxels: Voxels | None
    infected_voxels: Voxels | None
    lung_ml: float | None
    infected_ml: float | None
    lesion: str = ""

    @property
    def percent(self) -> float | None:
        """Infected share of the region in percent; None where there is no lung or no question."""
        if not self.lung_voxels or self.infected_voxels is None:
            return None
        return 100 * self.infected_voxels / self.lung_voxels


def involvement(
    grey: Bytes,
    infected: Bytes | None,
    lungs: Bytes | None,
    voxel_ml: float | None = None,
    classes: Mapping[int, str] = MappingProxyType({}),
) -> tuple[Part, ...]:
    """Count what is infected, by lung where the lungs are known.

    Args:
        grey: The slices, (N, H, W); they tell where the body's midline is.
        infected: The lesions, (N, H, W), other than 0 inside; None where only lungs are known.
        lungs: The lungs likewise; None where they aren't known.
        voxel_ml: Volume of a voxel in millilitres.
        classes: Label to name, where the lesions are of several kinds.

    Returns:
        Right, left and both lungs where they are known; then the whole mask where there is one.
        Of several kinds of lesion first all together, then each.
    """
    sizes = np.zeros(2, dtype=np.int64)
    labels = np.zeros((2, _LABELS), dtype=np.int64)  # of each side: how often each label
    if lungs is not None:
        middle = body_midline(grey, lungs)
        for place, lung in enumerate(lungs):
            for side, area in enumerate(right_and_left(lung, middle)):
                sizes[side] += np.count_nonzero(area)
                if infected is not None:
                    labels[side] += np.bincount(infected[place][area], minlength=_LABELS)
    whole = np.zeros(_LABELS, dtype=np.int64)
    for mask in () if infected is None else infected:
        whole += np.bincount(mask.ravel(), minlength=_LABELS)

    kinds = {ALL if classes else "": slice(1, None)}
    kinds |= {name: slice(label, label + 1) for label, name in classes.items()}
    parts: list[Part] = []
    for lesion, chosen in kinds.items():
        if lungs is not None:
            hits = labels[:, chosen].sum(axis=1)
            for region, sides in _REGIONS.items():
                hit = None if infected is None else int(hits[sides].sum())
                parts.append(_part(region, int(sizes[sides].sum()), hit, voxel_ml, lesion))
        if infected is not None:
            hit = int(whole[chosen].sum())
            parts.append(_part("everywhere", None, hit, voxel_ml, lesion))
    return tuple(parts)


def right_and_left(lung: Bytes, middle: float) -> tuple[Bools, Bools]:
    """The patient's right and left lung in one slice.

    Every connected area belongs to the side of the midline that most of it lies on. One that has
    at least a fifth of itself on either side is taken for two lungs that touch, and is cut
    halfway between its first and its last column.

    Args:
        lung: (H, W), other than 0 inside.
        middle: The body's midline, counted in columns from the left edge of the picture.

    Returns:
        Two masks (H, W) that together are the lung.
    """
    import cv2

    within = (lung > 0).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(within, connectivity=8)
    before = np.arange(lung.shape[1]) + 0.5 < middle
    on_right = np.bincount(labels[:, before].ravel(), minlength=count)
    right = np.zeros(lung.shape, dtype=np.bool_)
    for label in range(1, count):
        first, width, area = (
            int(boxes[label, key])
            for key in (cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA)
        )
        share = on_right[label] / area
        if min(share, 1 - share) >= _JOINED:
            cut = first + width / 2
            right |= (labels == label) & (np.arange(lung.shape[1]) + 0.5 < cut)
        elif share > 0.5:
            right |= labels == label
    return right, (within == 1) & ~right


def body_midline(grey: Bytes, lungs: Bytes) -> float:
    """The column that half of the soft tissue lies before, over the slices that show lungs.

    Args:
        grey: (N, H, W).
        lungs: (N, H, W), other than 0 inside.

    Returns:
        Counted from the left edge, such as 2.5 for the middle of five columns. Without tissue or
        lungs it is the middle of the picture.
    """
    columns = np.zeros(grey.shape[2], dtype=np.int64)
    for image in _where(grey, lungs):
        columns += np.count_nonzero(image >= _TISSUE, axis=0)
    total = int(columns.sum())
    if not total:
        return grey.shape[2] / 2
    reached = np.cumsum(columns)
    column = int(np.searchsorted(reached, total / 2))
    return column + (total / 2 - float(reached[column] - columns[column])) / float(columns[column])


def _where(grey: Bytes, lungs: Bytes) -> Iterator[Bytes]:
    for image, lung in zip(grey, lungs, strict=True):
        if lung.any():
            yield image


def _part(
    region: str,
    lung_voxels: int | None,
    infected_voxels: int | None,
    voxel_ml: float | None,
    lesion: str,
) -> Part:
    def in_ml(voxels: int | None) -> float | None:
        return None if voxels is None or voxel_ml is None else voxels * voxel_ml

    return Part(
        region=region,  # type: ignore[arg-type]
        lung_voxels=lung_voxels,
        infected_voxels=infected_voxels,
        lung_ml=in_ml(lung_voxels),
        infected_ml=in_ml(infected_voxels),
        lesion=lesion,
    )
