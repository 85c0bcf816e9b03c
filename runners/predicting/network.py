"""The network of a recorded run, built again and fed exactly as it was trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import nn

from benchmark.bank import ImageBank
from benchmark.datasets.inside import stretch_region
from benchmark.datasets.prepared import PreparedDataset, data_root, stretch
from benchmark.protocols import Protocol
from benchmark.window import Window
from results.find import Found
from results.spec import RunSpec, canonical_json
from runners.evaluate import predict
from runners.train import InputScale
from runners.weights import load_weights
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card
from zoo.source import source_hash

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Slice:
    """What is said of one slice, at its own size.

    Attributes:
        probability: Probability of the run's target, (H, W), 255 = certain.
        mask: The decision, (H, W): the class, 0 the background.
        lung: The lungs, (H, W), 0 or 1; None where no network looked for them.
    """

    probability: Bytes
    mask: Bytes
    lung: Bytes | None = None


@dataclass(frozen=True)
class Predictor:
    """One trained network.

    Attributes:
        run: Its run.
        network: The network with its trained weights.
        card: Its card.
        protocol: The protocol that it was trained under.
        changed: Whether its source is no longer the one that was trained.
    """

    run: Found
    network: nn.Module
    card: Card
    protocol: Protocol
    device: torch.device
    changed: bool

    @property
    def task(self) -> str:
        """What it segments."""
        return self.run.record.spec.task

    @property
    def classes(self) -> dict[int, str]:
        """Label to name of what it tells apart; empty where that is one thing."""
        return self.run.record.data.classes

    @property
    def window(self) -> Window:
        """The Hounsfield units that its training images showed black and white.

        They are those of its protocol, unless its data lie here and were windowed by others when
        they were prepared.
        """
        return _prepared_window(self.run.record.spec) or self.protocol.input.window

    @property
    def batch(self) -> int:
        """Slices at a time, as when the run was scored."""
        return self.protocol.optim.batch

    def slices(self, grey: Bytes, regions: Bytes | None = None) -> Iterator[Slice]:
        """Predict slices of one size.

        Args:
            grey: (N, H, W); each is stretched to the protocol's size, normalised as in training,
                and what comes out is resized to (H, W) before it is decided.
            regions: (N, H, W), 0 or 255: one channel more, for a network that was trained with it.

        Raises:
            CovbenchError: The network's output is not finite.
        """
        data = self.run.record.data
        scale = InputScale(data.mean, data.std)
        for start in range(0, len(grey), self.batch):
            part = grey[start : start + self.batch]
            size, planes = self.protocol.input.size, None
            images = np.stack([stretch(each, size) for each in part])
            if regions is not None:
                own = regions[start : start + self.batch]
                planes = np.stack([stretch_region(each, size) for each in own])
            # No masks are known, nor used.
            bank = ImageBank(images, images, device=self.device, planes=planes)
            sizes = [(part.shape[1], part.shape[2])] * len(part)
            try:
                for one in predict(self.network, self.card, bank, sizes, self.protocol, scale):
                    yield Slice(one.probability, one.mask)
            except torch.cuda.OutOfMemoryError as error:
                raise CovbenchError(
                    f"{self.run.record.spec.title} ran out of GPU memory at {self.batch} slices "
                    f"of {self.protocol.input.size} pixels.",
                    "Free the GPU, or compute with --device cpu.",
                ) from error
            except FloatingPointError as error:
                raise CovbenchError(
                    f"The output of {self.run.record.spec.title} is not finite.",
                    "Its weights overflow on this image: choose another run.",
                ) from error


def build_predictor(run: Found, device: torch.device) -> Predictor:
    """The trained network of a run.

    Raises:
        CovbenchError: It kept no weights, they don't fit, or its settings or network are unknown.
    """
    weights, spec = run.weights, run.record.spec
    protocol, card = _protocol(spec), _card(run)
    # What the encoder started from is in the weights already.
    options = {key: value for key, value in spec.options.items() if key != "weights"}
    channels = len(run.record.data.mean)
    if spec.cascade is not None and spec.cascade.mask == "channel":
        channels += 1
    kinds = run.record.data.classes
    if (spec.task == "multiclass") != bool(kinds):
        raise CovbenchError(
            f"The record of {spec.title} doesn't say what its labels mean.",
            "Run it again: covbench run --force.",
        )
    classes = protocol.num_classes(max(2, 1 + len(kinds)))
    network = create_model(spec.model, channels, classes, **options)
    load_weights(network, weights, card)
    return Predictor(
        run=run,
        network=network.to(device).eval(),
        card=card,
        protocol=protocol,
        device=device,
        changed=source_hash(card) != spec.source,
    )


def _protocol(spec: RunSpec) -> Protocol:
    try:
        text = canonical_json({**spec.settings, "name": spec.protocol})
        return Protocol.model_validate_json(text)
    except (ValidationError, CovbenchError) as error:
        raise CovbenchError(
            f"{spec.title} was trained under settings that this covbench doesn't know.",
            "Predict with the version that trained it (its record names it under code).",
        ) from error


def _prepared_window(spec: RunSpec) -> Window | None:
    """The window that a run's data were prepared with, where these very data lie here."""
    try:
        dataset = PreparedDataset(
            data_root() / spec.dataset, task="lung" if spec.task == "lung" else "infection"
        )
    except CovbenchError:
        return None
    stated = dataset.manifest.parameters.get("window")
    if dataset.data_hash != spec.data_hash or stated is None:
        return None
    low, high = stated
    return float(low), float(high)


def _card(run: Found) -> Card:
    """The card of a run's network; a plug-in is code, and never loaded unless it was named."""
    name = run.record.spec.model
    try:
        return get_card(name)
    except CovbenchError:
        files = [run.folder / each for each in run.record.files if each.endswith(".py")]
        if not files:
            raise
        raise CovbenchError(
            f"The network {name} is not built in; its code lies in {files[0]}.",
            f"Read it, and if you trust it add --plugin {files[0]}",
        ) from None
