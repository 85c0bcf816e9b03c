"""The page of facts beside the files of one image: what made them, and what was found."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from benchmark.involvement import Part
from benchmark.window import Window

Overlays = Literal["some", "all", "none"]


class Facts(BaseModel):
    """What made the files of one image.

    Attributes:
        input: The image, as it was named.
        input_sha256: Hash of its bytes; of a series, over the hashes of its files.
        run: Id of the run whose network was used.
        title: That run in words.
        lung_run: Id of the run that outlined the lungs.
        source_changed: Whether a network's source is no longer the one that was trained.
        hounsfield: The Hounsfield units that the network's training showed black and white.
        given: The window that the user gave instead.
        overlays: Which slices were to be drawn.
        window: The stored values that became black and white.
        slices: How many slices.
        voxel_ml: Volume of a voxel in millilitres, if known.
        parts: The involvement.
        mask: SHA-256 of the mask's file; empty until everything is written.
        lung_mask: SHA-256 of the lungs' file, where they were looked for beside the target.
        seg: Whether a DICOM segmentation was asked for.
        seg_file: SHA-256 of it; None of what is no series.
        classes: Label to name of what the mask holds; empty where it is one thing.
        note: What this is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    input_sha256: str
    run: str
    title: str
    lung_run: str | None
    source_changed: bool
    hounsfield: Window
    given: Window | None
    overlays: Overlays
    window: Window = (0.0, 255.0)
    slices: int = 0
    voxel_ml: float | None = None
    parts: tuple[Part, ...] = ()
    mask: str = ""
    lung_mask: str | None = None
    seg: bool = False
    seg_file: str | None = None
    classes: dict[int, str] = {}
    note: str = "Made by research software, no medical device: not for diagnosis or treatment."

    @property
    def asked(self) -> dict[str, Any]:
        """What decides the result: equal for two calls that give the same files."""
        keys = {
            "input_sha256",
            "run",
            "lung_run",
            "source_changed",
            "hounsfield",
            "given",
            "overlays",
            "seg",
        }
        return self.model_dump(include=keys)
