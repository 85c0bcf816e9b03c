"""What a command asks to be pretrained, what of it is done, and about how long the rest takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.datasets.readers import read_colour
from benchmark.pretraining import Recipe
from benchmark.pretraining.crops import training_crop
from benchmark.pretraining.images import ImageFolder
from results.files import file_name
from runners.estimate import training_seconds
from runners.pretraining.classifier import build_classifier, check_encoder
from runners.pretraining.job import PretrainJob, PretrainSpec
from runners.pretraining.result import PretrainResult, read_begun, read_result
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.selection import Row
from zoo.source import source_hash

_SAMPLES = 15


@dataclass(frozen=True)
class PretrainPlan:
    """Pretrainings, and what is done of them.

    Attributes:
        todo: What is missing.
        done: What is there, with its folder.
    """

    todo: tuple[PretrainJob, ...]
    done: tuple[tuple[Path, PretrainResult], ...]


@dataclass(frozen=True)
class Resources:
    """Where results go and what they are computed with.

    Attributes:
        out: Folder of the results.
        device: "cpu" or "cuda".
        threads: CPU threads of each pretraining.
    """

    out: Path
    device: str
    threads: int


def check_rows(rows: Sequence[Row], recipe: Recipe, device: str) -> None:
    """Refuse, before any image is read, what can't be pretrained.

    Raises:
        CovbenchError: As `check_encoder`, or the recipe asks for what the device can't do.
    """
    if recipe.run.precision == "fp16" and device == "cpu":
        raise CovbenchError(
            'run.precision = "fp16" needs a GPU.', "Use bf16 or fp32: --set precision=fp32."
        )
    for row in rows:
        check_encoder(get_card(row.name), dict(row.options), recipe.input.size)


def make_plan(
    rows: Sequence[Row],
    images: ImageFolder,
    manifest_hash: str,
    recipe: Recipe,
    resources: Resources,
) -> PretrainPlan:
    """Work out what is to be done.

    Args:
        rows: Networks with their options.
        images: The folder of images.
        manifest_hash: Identity of its contents.
        recipe: The settings.
        resources: Where, and with what.

    Raises:
        CovbenchError: A folder holds another pretraining of that name, or a damaged one.
    """
    todo, done = [], []
    for row in rows:
        origin = get_card(row.name).origin
        job = PretrainJob(
            spec=_spec(row, recipe, manifest_hash),
            recipe=recipe,
            data=images.root.resolve(),
            listing=images.listing,
            out=resources.out.resolve(),
            plugins=(origin,) if origin else (),
            device=resources.device,
            threads=resources.threads,
        )
        folder = folder_of(row, resources.out)
        result = read_result(folder)
        there = result.spec if result is not None else read_begun(folder)
        if there is not None:
            _refuse_other(folder, there, job.spec, done=result is not None)
        if result is not None:
            done.append((folder, result))
        else:
            todo.append(job)
    return PretrainPlan(tuple(todo), tuple(done))


def folder_of(row: Row, out: Path) -> Path:
    """Where the encoder of a row goes."""
    return out / file_name(row.label)


def missing_rows(rows: Sequence[Row], recipe: Recipe, out: Path) -> list[Row]:
    """The rows that have no result yet; what the images hold is not asked.

    Raises:
        CovbenchError: A folder holds a pretraining of another recipe or source, or a damaged one.
    """
    missing = []
    for row in rows:
        folder = folder_of(row, out)
        result = read_result(folder)
        there = result.spec if result is not None else read_begun(folder)
        if there is not None:
            same_images = _spec(row, recipe, there.data_hash)
            _refuse_other(folder, there, same_images, done=result is not None)
        if result is None:
            missing.append(row)
    return missing


def _spec(row: Row, recipe: Recipe, data_hash: str) -> PretrainSpec:
    card = get_card(row.name)
    return PretrainSpec(
        model=row.name,
        options=dict(row.options),
        encoder=card.encoder or "",
        source=source_hash(card),
        recipe=recipe.name,
        settings=recipe.canonical(),
        data_hash=data_hash,
    )


def _refuse_other(folder: Path, there: PretrainSpec, wanted: PretrainSpec, *, done: bool) -> None:
    if there.id == wanted.id:
        return
    state = "holds" if done else "has begun"
    differs = ", ".join(wanted.differences(there)) or "its options"
    raise CovbenchError(
        f"{folder} {state} another pretraining of {wanted.title}; there it differs in: {differs}.",
        "Give another folder with --out, or delete that one.",
    )


def estimate_seconds(
    rows: Sequence[Row], images: ImageFolder, recipe: Recipe, threads: int, slots: int
) -> float:
    """About how long pretrainings take on this machine's CPU; good to a factor of about two.

    Raises:
        CovbenchError: One of the images that are read for it can't be read.
    """
    count = len(images.train) * recipe.optim.epochs
    total = 0.0
    for row in rows:
        with torch.device("meta"):
            model = build_classifier(
                get_card(row.name), dict(row.options), len(images.classes), recipe.input.size
            )
            image = torch.zeros(1, 3, recipe.input.size, recipe.input.size)
        total += training_seconds(model, image, count, recipe.optim.batch, threads)
    return (total + len(rows) * count * _reading_seconds(images, recipe)) / min(slots, len(rows))


def _reading_seconds(images: ImageFolder, recipe: Recipe) -> float:
    """Seconds that one image takes to be read, decoded and cropped on one thread."""
    names = images.train.files
    took = []
    for at in range(_SAMPLES):
        began = time.perf_counter()
        name = names[at * len(names) // _SAMPLES]
        training_crop(read_colour(images.root / name), recipe.input, recipe.run.seed, 0, 0)
        took.append(time.perf_counter() - began)
    # The first one loads the decoder, and a busy machine holds up some.
    return statistics.median(took)
