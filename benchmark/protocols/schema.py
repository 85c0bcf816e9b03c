"""The fields of a protocol: everything that must be identical between the networks compared.

Every default is the value of the shipped protocol `identical`, so that a file of one's own needs
to name only what it does differently.
"""

from __future__ import annotations

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


Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0.1, le=10)]
Pixels = Annotated[int, Field(ge=0, le=2048)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=16, le=4096)]
Unit = Annotated[float, Field(ge=-32768, le=32767)]
Floats = Annotated[tuple[Factor, ...], BeforeValidator(as_tuple)]

_LATER = frozenset({"input.window"})
"""Fields that came after the first runs: at its default, each is left out of `canonical`, so that
the runs from before it keep their ids."""


class Section(BaseModel):
    """One table of a protocol file: frozen, strict about types, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class InputRule(Section):
    """What a network is given and what it gives back.

    `size` is the side in pixels that every image is stretched to. `normalise`: "fold" takes the
    training fold's mean and standard deviation, "imagenet" ImageNet's per channel, "unit" only
    divides by 255. `statistics` says how the fold's are taken: "pooled" over all pixels, or
    "per-image-average", the average over images of each image's own. `outputs`: "softmax" over
    the classes, or "sigmoid" with one logit for the foreground. `window`: the Hounsfield units
    that become black and white; it needs data that were prepared in Hounsfield units.
    """

    size: Side = 512
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

    "bce-dice" is half binary cross-entropy, half Dice loss, and needs one foreground class.
    Auxiliary outputs add `aux_weight` times their own loss each. `class_weights` "miniseg" are
    1 / ln(1.10 + p) for a class with the share p of the training fold's pixels.
    """

    name: Literal["cross-entropy", "bce-dice"] = "cross-entropy"
    aux_weight: Annotated[float, Field(ge=0, le=10)] = 0.4
    class_weights: Literal["none", "miniseg"] = "none"


class OptimRule(Section):
    """How it is minimised.

    "poly" is lr * (1 - step / steps) ** power, updated at every step, over all steps of the run.
    `max_steps` ends a run early; the schedule then ends there too. `drop_last` leaves an
    incomplete last batch out (a fold smaller than one batch still gives one).
    """

    name: Literal["adam"] = "adam"
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        BeforeValidator(as_tuple),
    ] = (0.9, 0.999)
    schedule: Literal["poly"] = "poly"
    power: Annotated[float, Field(ge=0, le=10)] = 0.9
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    max_steps: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_word_for_none)] = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 5
    drop_last: bool = True


class RunRule(Section):
    """How a run computes and what it leaves behind.

    "fp32" has TF32 switched off. `select` "last": the weights after the last step are the ones
    scored; none are chosen by looking at the test fold. `keep`: final weights and predictions,
    predictions alone, or neither.
    """

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    select: Literal["last"] = "last"
    keep: Literal["both", "predictions", "none"] = "both"
    checkpoint_minutes: Annotated[float, Field(ge=0, le=1440)] = 5.0


class SplitRule(Section):
    """Which images train and which are tested.

    "folds": the dataset's own lists where it ships them, else `folds` folds that keep groups
    (patients) together. "random": `draws` random splits with `train_fraction` of the images to
    train on. `run_folds` None means all of them, numbered from 1.
    """

    kind: Literal["folds", "random"] = "folds"
    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.6
    draws: Annotated[int, Field(ge=1, le=1000)] = 5
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


class Protocol(Section):
    """One protocol: the settings that all networks of a comparison share."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    input: InputRule = InputRule()
    augment: AugmentRule = AugmentRule()
    loss: LossRule = LossRule()
    optim: OptimRule = OptimRule()
    run: RunRule = RunRule()
    split: SplitRule = SplitRule()
    score: ScoreRule = ScoreRule()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        augment = self.augment
        if augment.border_crop and augment.mode != "none":
            sizes = augment.sizes if augment.mode == "sizes" else (1.0,)
            for factor, most in zip(sizes, augment.border_crop_px, strict=True):
                if 4 * most > factor * self.input.size:
                    raise CovbenchError(
                        f"augment.border_crop_px = {most} may remove more than half of an image "
                        f"of {factor * self.input.size:g} pixels.",
                        "Give at most a quarter of each size, or set augment.border_crop = 0.",
                    )
        if self.loss.name == "bce-dice" and self.loss.class_weights != "none":
            raise CovbenchError(
                'loss.class_weights = "miniseg" weighs the cross-entropy, not "bce-dice".',
                'Set loss.class_weights = "none", or loss.name = "cross-entropy".',
            )
        return self

    def canonical(self) -> dict[str, Any]:
        """Everything that changes a number, defaults filled in, as plain JSON values.

        Left out: names and descriptions, what is kept and how often it is saved, which folds and
        seeds are run (a run has one of each, named beside the protocol), every field that another
        one makes idle, such as `augment.zoom` in mode "sizes", and what `_LATER` says.

        Returns:
            Section name to {field: value}; tuples are lists.
        """
        data = self.model_dump(mode="json", exclude={"name", "description"})
        for key in self._idle() | self._unchanged():
            section, field = key.split(".")
            del data[section][field]
        return data

    def _unchanged(self) -> set[str]:
        """The keys of `_LATER` that are at their defaults."""
        pairs = {key: key.split(".") for key in _LATER}
        return {
            key
            for key, (section, field) in pairs.items()
            if getattr(getattr(self, section), field)
            == type(getattr(self, section)).model_fields[field].default
        }

    def _idle(self) -> set[str]:
        """The keys that change no number of a run under this protocol."""
        idle = {"run.checkpoint_minutes", "run.keep", "split.run_folds", "split.seeds"}
        augment = self.augment
        if self.input.normalise != "fold":
            idle.add("input.statistics")
        if augment.mode == "none":
            idle |= {f"augment.{field}" for field in type(augment).model_fields} - {"augment.mode"}
        if augment.mode != "zoom":
            idle.add("augment.zoom")
        if augment.mode != "sizes":
            idle |= {"augment.sizes", "augment.passes"}
        if not augment.border_crop:
            idle.add("augment.border_crop_px")
        if self.split.kind == "folds":
            idle |= {"split.train_fraction", "split.draws"}
        else:
            idle.add("split.folds")
        return idle

    @property
    def changes(self) -> list[str]:
        """What differs from the shipped protocol of the same name, as "section.key=value".

        Only fields that change a number are compared. A protocol whose name is not a shipped one
        is compared with `identical`, whose values are the defaults. The list is a valid
        `overrides` for `load_protocol`.
        """
        from benchmark.protocols.load import shipped
        from benchmark.settings import format_value

        base = (shipped(self.name) or shipped("identical") or self).model_dump(mode="json")
        return [
            f"{section}.{field}={format_value(value)}"
            for section, fields in self.canonical().items()
            for field, value in fields.items()
            if value != base[section][field]
        ]
