"""The sections of a protocol, and the values that each field may have.

Every default is the value of the shipped protocol `identical`, so that a file of one's own needs
to name only what it does differently.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from benchmark.window import LUNG_WINDOW
from zoo.errors import CovbenchError


def as_tuple(value: Any) -> Any:
    """A tuple from a TOML or JSON array; one number stands for a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _word_for_none(value: Any) -> Any:
    """None from the words that say it: TOML has no null."""
    return None if value in ("none", "all") else value


_INTERVALS = 'so many epochs or minutes, such as "5 epochs" or "5 min"'


def _interval(text: str) -> tuple[float, Literal["epochs", "min"]]:
    """The number and the unit of a text such as "5 epochs" or "0.5 min"."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *(epochs?|min(?:utes?)?)", text.strip())
    if not found:
        raise ValueError(_INTERVALS)
    return float(found[1]), "epochs" if found[2].startswith("epoch") else "min"


Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0.1, le=10)]
Pixels = Annotated[int, Field(ge=0, le=2048)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=16, le=4096)]
Unit = Annotated[float, Field(ge=-32768, le=32767)]
Floats = Annotated[tuple[Factor, ...], BeforeValidator(as_tuple)]


class Section(BaseModel):
    """One table of a protocol file: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class InputRule(Section):
    """What a network is given and what it gives back.

    `size` is the side in pixels that every image is stretched to, `channels` how often its grey is
    given to the network. `normalise`: "fold" takes the training fold's mean and standard deviation,
    "imagenet" ImageNet's per channel, "unit" only divides by 255. `statistics` says how the fold's
    are taken: "pooled" over all pixels, or "per-image-average", the average over images of each
    image's own. `outputs`: "softmax" over the classes, or "sigmoid" with one logit for the
    foreground. `window`: the Hounsfield units that become black and white; it needs data that were
    prepared in Hounsfield units.
    """

    size: Side = 512
    channels: Literal[1, 3] = 3
    normalise: Literal["fold", "imagenet", "unit"] = "fold"
    statistics: Literal["pooled", "per-image-average"] = "pooled"
    outputs: Literal["softmax", "sigmoid"] = "softmax"
    window: Annotated[tuple[Unit, Unit], BeforeValidator(as_tuple)] = LUNG_WINDOW

    @field_validator("window")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("two Hounsfield units, the lower one first")
        return value


class AugmentRule(Section):
    """How training images are varied.

    `mode`: "none" switches every augmentation off, flips too; "zoom" draws a factor per image
    from the range `zoom` and crops or pads at a random place, the size staying as it is (flips
    alone: `zoom = [1, 1]`); "sizes" resizes whole batches to `sizes` times the input size.
    `passes`: "random" draws one of the sizes for each batch, "sequential" goes over the training
    fold once per size, in the order listed, within one epoch. `hflip` mirrors left and right,
    `vflip` up and down; both are probabilities, and so is `border_crop`: x pixels are removed
    from the left and from the right, y from the top and from the bottom, each drawn from 0 to
    `border_crop_px`, and the rest is resized back. `border_crop_px` counts pixels of the batch's
    own size and has one entry per entry of `sizes` (one entry in mode "zoom").
    """

    mode: Literal["none", "zoom", "sizes"] = "zoom"
    zoom: Annotated[tuple[Factor, Factor], BeforeValidator(as_tuple)] = (0.5, 1.5)
    sizes: Floats = ()
    passes: Literal["random", "sequential"] = "random"
    hflip: Probability = 0.5
    vflip: Probability = 0.5
    border_crop: Probability = 0.0
    border_crop_px: Annotated[tuple[Pixels, ...], BeforeValidator(as_tuple)] = ()

    @field_validator("zoom")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("two factors, the smaller one first")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode == "sizes" and not self.sizes:
            raise CovbenchError(
                'augment.mode = "sizes" needs sizes, and augment.sizes is empty.',
                "Give the factors of the input size, such as augment.sizes = [0.75, 1.0, 1.25].",
            )
        wanted = len(self.sizes) if self.mode == "sizes" else 1
        if self.border_crop and self.mode != "none" and len(self.border_crop_px) != wanted:
            raise CovbenchError(
                f"augment.border_crop_px has {len(self.border_crop_px)} entries, not {wanted}.",
                "Give one maximum in pixels per entry of augment.sizes (one in mode zoom), or "
                "set augment.border_crop = 0.",
            )
        return self


class LossRule(Section):
    """What is minimised.

    "bce-dice" is half binary cross-entropy, half Dice loss, and needs one foreground class. Its
    `bce` is the mean over the pixels that count, or their sum in each image, averaged over the
    images; its `dice` is one fraction over all pixels of a "batch", or the mean of each "image"'s.
    Auxiliary outputs add `aux_weight` times their own loss each. `class_weights` "miniseg" are
    1 / ln(1.10 + p) for a class with the share p of the training fold's pixels.
    """

    name: Literal["cross-entropy", "bce-dice"] = "cross-entropy"
    bce: Literal["mean", "sum"] = "mean"
    dice: Literal["batch", "image"] = "batch"
    aux_weight: Annotated[float, Field(ge=0, le=10)] = 0.4
    class_weights: Literal["none", "miniseg"] = "none"


class OptimRule(Section):
    """How it is minimised.

    `betas` are Adam's, `momentum` and `nesterov` SGD's. "poly" is lr * (1 - step / steps) ** power,
    updated at every step, over all steps of the run; "constant" leaves lr as it is. `max_steps`
    ends a run early; the schedule then ends there too. `drop_last` leaves an incomplete last batch
    out (a fold smaller than one batch still gives one).
    """

    name: Literal["adam", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        BeforeValidator(as_tuple),
    ] = (0.9, 0.999)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    schedule: Literal["poly", "constant"] = "poly"
    power: Annotated[float, Field(ge=0, le=10)] = 0.9
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    max_steps: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_word_for_none)] = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 5
    drop_last: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == "sgd" and self.nesterov and not self.momentum:
            raise CovbenchError(
                "optim.nesterov = true needs a momentum, and optim.momentum is 0.",
                "Give optim.momentum, such as 0.9, or set optim.nesterov = false.",
            )
        return self


class StopRule(Section):
    """When a training ends before its last epoch: on slices of the training part held out of it.

    `early`: the share `validation` of the training part is held out, never trained on and not in
    the input's statistics. `validation_by`: "group" holds out whole groups (patients), "slice"
    single slices. After every epoch `metric` is taken on it, "loss" being the protocol's own loss
    of the main output without augmentation. A training ends after `patience` epochs in which it
    did not fall by more than `min_delta` below its best. The test fold has no part in this.
    """

    early: bool = False
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    validation_by: Literal["group", "slice"] = "group"
    metric: Literal["loss"] = "loss"
    patience: Annotated[int, Field(ge=1, le=100_000)] = 10
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0


class RunRule(Section):
    """How a run computes and what it leaves behind.

    "fp32" has TF32 switched off. `select`: the weights scored are those after the "last" step, or
    the "best-on-validation" (section `stop`); none are chosen by looking at the test fold. `keep`:
    those weights and predictions, predictions alone, or neither. `checkpoint_every`: so many epochs
    ("5 epochs") or minutes ("5 min"; "0 min" is after every step). `out_of_memory`, when a step
    finds no room on the GPU: "fail", or "accumulate" the gradient of the same batch from smaller
    parts, which only batch normalisation can tell from the whole; a run that did so says it in its
    record.
    """

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    select: Literal["last", "best-on-validation"] = "last"
    keep: Literal["both", "predictions", "none"] = "both"
    checkpoint_every: str = "5 min"
    out_of_memory: Literal["fail", "accumulate"] = "fail"

    @field_validator("checkpoint_every", mode="before")
    @classmethod
    def _with_unit(cls, value: object) -> object:
        number, unit = _interval(value if isinstance(value, str) else "")
        if (unit == "epochs" and not (number >= 1 and number.is_integer())) or number > 100_000:
            raise ValueError(_INTERVALS)
        return value

    @property
    def checkpoint_interval(self) -> tuple[float, Literal["epochs", "min"]]:
        """`checkpoint_every` as a number and its unit."""
        return _interval(self.checkpoint_every)


class SplitRule(Section):
    """Which images train and which are tested.

    "folds": the dataset's own lists where it ships them, else `folds` folds that keep groups
    (patients) together. "random": `draws` random splits with `train_fraction` of the images to
    train on, drawn from "all" images or from each "source" of the dataset by itself (`test_by`).
    `balance` "sources" leaves training images of the larger sources out of the fold, so that every
    source trains with as many as the smallest one has. `run_folds` None means all of them, numbered
    from 1.
    """

    kind: Literal["folds", "random"] = "folds"
    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.6
    draws: Annotated[int, Field(ge=1, le=1000)] = 5
    test_by: Literal["all", "source"] = "all"
    balance: Literal["none", "sources"] = "none"
    seed: Seed = 0
    run_folds: Annotated[
        Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)] | None,
        BeforeValidator(_word_for_none),
    ] = None
    seeds: Annotated[tuple[Seed, ...], BeforeValidator(as_tuple)] = (0,)

    @field_validator("run_folds", "seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("at least one number, none of them twice")
        return value


class ScoreRule(Section):
    """How a prediction is judged.

    `size` "native": logits are resized to the image's own size before the argmax; a number
    scores at that side instead. `both_empty` (no foreground in truth nor prediction):
    "undefined" leaves the image out and counts it, "perfect" gives it the best score.
    `pred_empty`: "worst" is Dice, Jaccard and sensitivity 0 and distances of the image's
    diagonal; "zero-all" sets every per-image metric to 0, specificity and distances too.
    `surface_points`: distances between borders, or between all foreground pixels.
    """

    size: Literal["native"] | Side = "native"
    both_empty: Literal["undefined", "perfect"] = "undefined"
    pred_empty: Literal["worst", "zero-all"] = "worst"
    surface_points: Literal["border", "foreground"] = "border"
