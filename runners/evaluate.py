"""Evaluation: predict the test slices at their own size, score each, and sum up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from benchmark.bank import ImageBank, plain_batch
from benchmark.datasets import PreparedDataset
from benchmark.datasets.folds import sources_of
from benchmark.datasets.inside import InsideLungs
from benchmark.labels import IGNORE, targets_of
from benchmark.metrics import Row, Score, aggregate, score_case
from benchmark.metrics.aggregate import inside_lung, pooled_counts
from benchmark.metrics.definitions import INSIDE_LUNG
from benchmark.protocols import Protocol
from results.record import Counts
from runners.train import InputScale, autocast, set_precision
from zoo.cards import Card
from zoo.padding import forward_padded

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """What a network says of one slice.

    Attributes:
        position: Position of the slice in the bank.
        probability: Probability of foreground, (H, W), 255 = certain.
        mask: The decision, (H, W): the class, 0 the background.
    """

    position: int
    probability: Bytes
    mask: Bytes


@dataclass(frozen=True)
class Scored:
    """What was segmented, judged: a row for each image, the summary, and pixels in all."""

    rows: list[Row]
    scores: dict[str, Score]
    counts: Counts


@dataclass(frozen=True)
class Evaluation:
    """A network on a test fold.

    Attributes:
        targets: What was segmented by name (`targets_of`), in order.
        predictions: Probability of foreground by case id.
    """

    targets: dict[str, Scored]
    predictions: dict[str, Bytes]


def _likeliest(logits: torch.Tensor) -> torch.Tensor:
    """The class of the highest logit, (H, W) of (K, H, W); of two classes many times faster."""
    return logits[1] > logits[0] if len(logits) == 2 else logits.argmax(0)


def _foreground(logits: torch.Tensor) -> torch.Tensor:
    """Probability of the likeliest class of foreground against the background, (H, W)."""
    if len(logits) == 2:
        return 1 - logits.softmax(0)[0]
    return (logits[1:].amax(0) - logits[0]).sigmoid()


@torch.inference_mode()
def predict(
    model: nn.Module,
    card: Card,
    bank: ImageBank,
    sizes: Sequence[tuple[int, int]],
    protocol: Protocol,
    scale: InputScale,
) -> Iterator[Prediction]:
    """Predict every slice of a bank.

    Args:
        model: The network, on the bank's device.
        card: Its card, for the sizes that it accepts.
        bank: The test slices at the protocol's size.
        sizes: Height and width at which each is scored: logits are resized (bilinear), then
            decided by argmax, or at probability 0.5 for one sigmoid logit.
        protocol: Batch size and precision.
        scale: How the input is normalised.

    Yields:
        One prediction a slice, in the bank's order. Of several classes the probability is that of
        the likeliest against the background alone: at least one half where the decision is a class.
    """
    set_precision(protocol)  # whoever only loads weights has not been through `fit`
    model.eval()
    batch = protocol.optim.batch
    for start in range(0, len(bank), batch):
        positions = range(start, min(start + batch, len(bank)))
        x, _ = plain_batch(bank, positions, scale.mean, scale.std, scale.channels)
        with autocast(protocol, bank.device):
            output = forward_padded(model, x, card.divisor, card.min_size)
        assert isinstance(output, torch.Tensor), "a network gives one tensor in evaluation mode"
        logits = output.float()
        if not torch.isfinite(logits).all():
            raise FloatingPointError("The network's output is not finite.")
        for position, one in zip(positions, logits, strict=True):
            resized = one.unsqueeze(0)
            if tuple(one.shape[-2:]) != sizes[position]:
                resized = functional.interpolate(
                    resized, size=sizes[position], mode="bilinear", align_corners=False
                )
            if one.shape[0] == 1:
                probability = resized[0, 0].sigmoid()
                mask = resized[0, 0] > 0
            else:
                probability = _foreground(resized[0])
                mask = _likeliest(resized[0])
            yield Prediction(
                position=position,
                probability=(probability * 255).round().to(torch.uint8).cpu().numpy(),
                mask=mask.to(torch.uint8).cpu().numpy(),
            )


def evaluate(
    model: nn.Module,
    card: Card,
    dataset: PreparedDataset,
    indices: Sequence[int],
    protocol: Protocol,
    scale: InputScale,
    device: torch.device,
) -> Evaluation:
    """Score a network on some slices of a dataset, by the protocol's rules.

    Args:
        model: The network, on the device.
        card: Its card, for the sizes that it accepts.
        dataset: The prepared slices.
        indices: Which of them.
        protocol: Input size, batch size, precision and rules.
        scale: How the input is normalised.
        device: Where the network is.

    Returns:
        The scores of each target (`targets_of`), a row for each image with its source where the
        dataset has several, and probabilities by case id.

    Raises:
        FloatingPointError: The network's output is not finite.
    """
    bank = ImageBank.of(dataset, protocol.input.size, indices, device=device)
    size = protocol.score.size
    masks = None if isinstance(size, str) else dataset.at_size(size)[1]
    truths = [dataset.mask(index) if masks is None else masks[index] for index in indices]
    shapes = [(truth.shape[0], truth.shape[1]) for truth in truths]
    several = len(sources_of(dataset.cases, range(len(dataset.cases)))) > 1
    rows: dict[str, list[Row]] = {target: [] for target in targets_of(dataset.classes)}
    predictions: dict[str, Bytes] = {}
    for guess in predict(model, card, bank, shapes, protocol, scale):
        index, truth = indices[guess.position], truths[guess.position]
        case = dataset.cases[index]
        who = {"id": case.id, "group": case.group, **({"source": case.source} if several else {})}
        for target, label in targets_of(dataset.classes).items():
            scores = score_case(
                _binary(guess.mask, label),
                _binary(truth, label),
                truth == IGNORE,
                case.spacing_at(size),
                protocol.score,
            )
            rows[target].append({**who, **scores})
        if isinstance(dataset, InsideLungs):
            first = next(iter(rows.values()))
            first[-1][INSIDE_LUNG.column] = dataset.inside_count(index, truth)
        predictions[case.id] = guess.probability
    groups = [dataset.cases[index].group for index in indices]
    return Evaluation(
        {
            target: Scored(
                own,
                aggregate(own, groups, protocol.score) | _of_cascade(own),
                Counts(**asdict(pooled_counts(own))),
            )
            for target, own in rows.items()
        },
        predictions,
    )


def _of_cascade(rows: Sequence[Row]) -> dict[str, Score]:
    """What is said of a cascade's lungs beside its scores; nothing of other runs."""
    return {INSIDE_LUNG.key: inside_lung(rows)} if INSIDE_LUNG.column in rows[0] else {}


def _binary(labels: Bytes, label: int | None) -> Bytes:
    """Labels as they are, or 1 where they are one class and 0 elsewhere; 255 stays."""
    if label is None:
        return labels
    return np.where(labels == IGNORE, labels, (labels == label).astype(np.uint8))


def cases_csv(rows: Sequence[Row]) -> str:
    """The per-image scores as CSV; an undefined value is an empty field."""
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)  # mm where it is known
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value != value else value for key, value in row.items()})
    return text.getvalue()


def write_predictions(file: BinaryIO, predictions: dict[str, Bytes]) -> None:
    """Foreground probabilities as deflated uint8: `ids`, and `p0`, `p1`, ... in their order."""
    arrays = {f"p{number}": array for number, array in enumerate(predictions.values())}
    np.savez_compressed(file, ids=np.array(list(predictions)), **arrays)  # type: ignore[arg-type]
