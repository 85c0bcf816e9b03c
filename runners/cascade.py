"""What a cascade's second network takes from the runs of its first: lungs, and their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.bank import ImageBank
from benchmark.complexity import Cost
from benchmark.datasets import Fold, PreparedDataset
from benchmark.protocols import Protocol
from results.find import Found, find_run
from results.predictions import read_predictions
from results.record import RunRecord
from results.store import Store
from results.untrusted import WEIGHTS
from runners.evaluate import predict
from runners.job import Job
from runners.predicting.network import build_predictor
from runners.train import InputScale
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.registry import get_card

Bytes = NDArray[np.uint8]


def lungs_of(job: Job, dataset: PreparedDataset, fold: Fold) -> dict[str, Bytes]:
    """Probability of lung (255 = certain) for every slice of a fold, by its id, at its own size.

    Lungs of the test slices come from a network that was trained on the fold's training slices;
    those of each part of the training slices from one that was trained on the other parts. On
    another dataset than it was trained on, a cascade brings the first of these networks.

    Args:
        job: A hierarchical run; the runs that it needs are recorded.
        dataset: The whole images.
        fold: Its slices.

    Raises:
        CovbenchError: A needed run is not recorded, or kept no predictions, or lacks a slice; or
            the weights of the lung network are not those of the plan.
    """
    wanted = (*fold.train, *fold.test)
    cascade = job.spec.cascade
    if cascade is not None and cascade.lungs == "truth":
        return {dataset.cases[i].id: dataset.lung(i) * np.uint8(255) for i in wanted}
    if (brought := _brought(job)) is not None:
        return _outlined(job, brought, dataset, wanted)
    found: dict[str, Bytes] = {}
    for record in _needed(job):
        found.update(read_predictions(job.store, record))
    lacking = [dataset.cases[i].id for i in wanted if dataset.cases[i].id not in found]
    if lacking:
        raise CovbenchError(
            f"The lungs of {len(lacking)} slices were not predicted, such as {lacking[0]}.",
            "Run the lung network of this cascade again: covbench run --force.",
        )
    cases = [dataset.cases[i] for i in wanted]
    return {case.id: _at(found[case.id], (case.height, case.width)) for case in cases}


def _brought(job: Job) -> Found | None:
    """The lung run whose network a cascade brings to another dataset, if this is one."""
    return find_run(job.store, str(job.lungs)) if job.lungs is not None else None


def _outlined(
    job: Job, found: Found, dataset: PreparedDataset, wanted: Sequence[int]
) -> dict[str, Bytes]:
    """The lungs of slices by a trained lung network.

    Raises:
        CovbenchError: It is no longer the one of the plan.
    """
    expected = job.spec.trained.lungs if job.spec.trained else None
    if found.record.files.get(WEIGHTS) != expected:
        raise CovbenchError(
            f"The weights of {found.record.spec.title} changed since the test was planned.",
            "Run the same command again: it plans anew.",
        )
    lung = build_predictor(found, torch.device(job.device))
    if lung.changed:
        raise CovbenchError(
            f"The source of {lung.card.name} has changed since {found.record.spec.title}.",
            "Use the version that it was trained with, or train it again.",
        )
    bank = ImageBank.of(dataset, lung.protocol.input.size, wanted, device=lung.device)
    shapes = [_scored_shape(dataset, i, lung.protocol) for i in wanted]
    scale = InputScale(found.record.data.mean, found.record.data.std)
    lungs = {}
    for one in predict(lung.network, lung.card, bank, shapes, lung.protocol, scale):
        case = dataset.cases[wanted[one.position]]
        lungs[case.id] = _at(one.probability, (case.height, case.width))
    return lungs


def _scored_shape(dataset: PreparedDataset, i: int, protocol: Protocol) -> tuple[int, int]:
    """The size at which a slice is scored and its prediction kept, as lungs of one's own data."""
    size, case = protocol.score.size, dataset.cases[i]
    return (case.height, case.width) if isinstance(size, str) else (size, size)


def _at(probability: Bytes, shape: tuple[int, int]) -> Bytes:
    """Lungs at the size of their slice: a protocol may score, and keep, them at another one."""
    if probability.shape == shape:
        return probability
    height, width = shape
    resized = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def lung_cards(job: Job) -> tuple[Card, ...]:
    """The card of the lung network that a cascade brings to another dataset, if this is one."""
    brought = _brought(job)
    return () if brought is None else (get_card(brought.record.spec.model),)


def cost_of(job: Job, second: Cost) -> Cost:
    """What a run's row costs in use: of a cascade with predicted lungs, both of its networks."""
    if (brought := _brought(job)) is not None:
        first = brought.record.cost
    elif job.needs:
        first = _needed(job)[0].cost
    else:
        return second
    unused = None
    if first.params_unused is not None and second.params_unused is not None:
        unused = first.params_unused + second.params_unused
    return Cost(
        params=first.params + second.params,
        params_trainable=first.params_trainable + second.params_trainable,
        params_unused=unused,
        macs=_summed(first.macs, second.macs),
        input_size=second.input_size,
        uncounted={
            name: first.uncounted.get(name, 0) + second.uncounted.get(name, 0)
            for name in {**first.uncounted, **second.uncounted}
        },
        forward_bytes=_larger(first.forward_bytes, second.forward_bytes),
        saved_bytes=second.saved_bytes,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes, _BOTH))),
    )


_BOTH = "Parameters and multiply-adds are those of both networks of the cascade."


def _needed(job: Job) -> list[RunRecord]:
    """The records of the runs that a run needs, in their order."""
    store = Store(job.store)
    found = []
    for need, expected in zip(job.needs, job.spec.needs, strict=True):
        record = store.read(need)
        if need.id != expected or record is None:
            raise CovbenchError(
                f"{need.title}, which {job.spec.title} needs, is not recorded.",
                "Run the same command again: it plans anew.",
            )
        found.append(record)
    return found


def _summed(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """The sums of counters that both have."""
    return {name: first[name] + second[name] for name in second if name in first}


def _larger(first: int | None, second: int | None) -> int | None:
    """The larger of two peaks: the networks run one after the other."""
    return max(first, second) if first is not None and second is not None else None
