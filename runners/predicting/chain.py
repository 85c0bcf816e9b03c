"""What turns an image into masks: the network of a run, and one that outlines the lungs for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from benchmark.datasets.inside import Cascade, inside, region_of
from benchmark.window import Window
from results.find import Found, find_run
from runners.predicting.network import Predictor, Slice, build_predictor
from zoo.errors import CovbenchError

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chain:
    """What turns an image into masks: one network, or one that sees what another one leaves.

    Attributes:
        target: The network whose mask is written.
        lungs: The network that outlines the lungs, if any does.
        inside: The image that the target sees, of a slice and the probability of lung in it
            (both (H, W) uint8); None where it sees the whole image.
        region: The lungs as one more channel of what the target sees, of the same probability;
            None where it has no such channel.
    """

    target: Predictor
    lungs: Predictor | None = None
    inside: Callable[[Bytes, Bytes], Bytes] | None = None
    region: Callable[[Bytes], Bytes] | None = None

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """The networks, the target first."""
        return (self.target,) if self.lungs is None else (self.target, self.lungs)

    @property
    def window(self) -> Window:
        """The Hounsfield units that the training images showed black and white.

        Raises:
            CovbenchError: The networks were trained in two different ones.
        """
        windows = list(dict.fromkeys(each.window for each in self.predictors))
        if len(windows) > 1:
            words = " and ".join(f"{low:g},{high:g}" for low, high in windows)
            raise CovbenchError(
                f"The two networks were trained in different windows: {words}.",
                "Choose a lung run on the same data, or give one --window for both.",
            )
        return windows[0]

    @property
    def only_lungs(self) -> bool:
        """Whether the target is the lungs themselves."""
        return self.target.task == "lung"

    def slices(self, grey: Bytes) -> Iterator[Slice]:
        """Predict slices of one size, (N, H, W), a batch at a time.

        Raises:
            CovbenchError: A network's output is not finite.
        """
        batch = self.target.batch
        for start in range(0, len(grey), batch):
            part = grey[start : start + batch]
            if self.lungs is None:
                for one in self.target.slices(part):
                    yield Slice(one.probability, one.mask, one.mask if self.only_lungs else None)
                continue
            lungs = list(self.lungs.slices(part))
            seen, regions = part, None
            if self.inside is not None:
                pairs = zip(part, lungs, strict=True)
                seen = np.stack([self.inside(image, lung.probability) for image, lung in pairs])
            if self.region is not None:
                regions = np.stack([self.region(lung.probability) for lung in lungs])
            for one, lung in zip(self.target.slices(seen, regions), lungs, strict=True):
                yield Slice(one.probability, one.mask, lung.mask)


def build_chain(run: Found, device: torch.device, lung_run: Found | None = None) -> Chain:
    """The networks that a run needs, ready.

    Args:
        run: The run whose mask is wanted. A hierarchical one brings the lung network that its
            record names, from the same store.
        device: Where to compute.
        lung_run: A run of the task lung that outlines the lungs beside a direct run.

    Raises:
        CovbenchError: A run kept no weights, comes from another version, needs a plug-in, or the
            runs don't go together.
    """
    task, trained = run.record.spec.task, run.record.spec.trained
    if trained is not None:
        raise CovbenchError(
            f"{run.record.spec.title} is a test of the trained run {trained.run[:12]}.",
            f"Predict with that one: --run {trained.run[:12]}, and the store that it was trained "
            "in after --from.",
        )
    if lung_run is not None and lung_run.record.spec.task != "lung":
        raise CovbenchError(
            f"{lung_run.record.spec.title} outlines no lungs: it was trained on the task "
            f"{lung_run.record.spec.task}.",
            "Give --lung-run a run of covbench run --task lung.",
        )
    if lung_run is not None and task in ("lung", "hierarchical"):
        raise CovbenchError(
            f"{run.record.spec.title} brings its own lungs.", "Leave --lung-run out."
        )
    cascade = None
    if task == "hierarchical":
        cascade, lung_run = _cascade(run), _lung_run(run)
    target = build_predictor(run, device)
    lungs = build_predictor(lung_run, device) if lung_run is not None else None
    if cascade is None:
        return Chain(target, lungs)
    if cascade.mask == "channel":
        return Chain(target, lungs, region=partial(region_of, cascade=cascade))
    return Chain(target, lungs, partial(inside, cascade=cascade))


def _lung_run(run: Found) -> Found:
    """The run that outlines the lungs for a hierarchical one: the first that it needs."""
    needs = run.record.spec.needs
    if not needs:
        raise CovbenchError(
            f"The record of {run.record.spec.title} names no lung network.", "Run it again."
        )
    try:
        found = find_run(run.store, needs[0])
    except CovbenchError as error:
        raise CovbenchError(
            f"{run.record.spec.title} needs the lung run {needs[0][:12]}, which is not below "
            f"{run.store}.",
            "Copy that run's folder into the same store, or train it: the same command trains it.",
        ) from error
    if found.record.spec.task != "lung":
        raise CovbenchError(
            f"{run.record.spec.title} names {found.record.spec.title} as its lung network, which "
            "outlines no lungs.",
            "Its record was altered: choose another run, or train it again.",
        )
    return found


def _cascade(run: Found) -> Cascade:
    """How a hierarchical run's lungs reach its network."""
    cascade = run.record.spec.cascade
    if cascade is None or cascade.lungs == "truth":
        raise CovbenchError(
            f"{run.record.spec.title} was given the true lungs, which a new image doesn't have.",
            "Choose a run whose lungs were predicted.",
        )
    return cascade
