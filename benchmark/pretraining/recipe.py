"""The fields of a recipe of pretraining. Every default is the value of the shipped `imagenet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from benchmark.protocols.sections import Probability, Section, Seed, Side, as_tuple
from benchmark.settings import SettingsFiles
from zoo.errors import CovbenchError

Share = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(ge=0.1, le=10)]


class InputRule(Section):
    """What the encoder sees.

    Training: a part of the image with a share of its area from `area` and a ratio of width to
    height from `ratio` is stretched to `size` pixels a side, and mirrored with the probability
    `hflip`. Validation: the shorter side becomes `resize` pixels, and the middle `size` of both
    sides is taken. `normalise` "imagenet": ImageNet's mean and deviation per channel; "unit" only
    divides by 255.
    """

    size: Side = 224
    resize: Side = 256
    area: Annotated[tuple[Share, Share], BeforeValidator(as_tuple)] = (0.08, 1.0)
    ratio: Annotated[tuple[Ratio, Ratio], BeforeValidator(as_tuple)] = (0.75, 4 / 3)
    hflip: Probability = 0.5
    normalise: Literal["imagenet", "unit"] = "imagenet"

    @field_validator("area", "ratio")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("two numbers, the smaller one first")
        return value


class OptimRule(Section):
    """How the cross-entropy, with `label_smoothing`, is minimised: SGD with momentum.

    The rate rises in equal steps to `lr` over `warmup_epochs`; then "cosine" takes it to zero at
    the end, and "step" multiplies it by `step_factor` at the beginning of each epoch in
    `step_epochs` (counted from 0). `lr` belongs to this `batch`: nothing is scaled by itself.
    `decay` "all" lets `weight_decay` act on every parameter; "weights" spares those of one
    dimension: biases, batch normalisation and the slopes of PReLU. `drop_last` leaves an
    incomplete last batch out, unless it is the only one.
    """

    name: Literal["sgd"] = "sgd"
    lr: Annotated[float, Field(gt=0, le=10)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    decay: Literal["all", "weights"] = "all"
    schedule: Literal["cosine", "step"] = "cosine"
    step_epochs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)] = (
        30,
        60,
        80,
    )
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: Annotated[int, Field(ge=0, le=1000)] = 5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 90
    batch: Annotated[int, Field(ge=1, le=65_536)] = 256
    drop_last: bool = True


class RunRule(Section):
    """How a pretraining computes.

    "fp32" has TF32 switched off; "bf16" and "fp16" are autocast, "fp16" with a scaled loss and on
    a GPU alone. The weights after the last step are the result; none are chosen by validation.
    """

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    seed: Seed = 0


class Recipe(Section):
    """One recipe: everything that must be the same for two encoders to be comparable."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    input: InputRule = InputRule()
    optim: OptimRule = OptimRule()
    run: RunRule = RunRule()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        optim = self.optim
        if optim.warmup_epochs >= optim.epochs:
            raise CovbenchError(
                f"optim.warmup_epochs = {optim.warmup_epochs} leaves nothing of optim.epochs = "
                f"{optim.epochs}.",
                f"Add --set warmup_epochs={optim.epochs // 10}, or train longer.",
            )
        if self.input.resize < self.input.size:
            raise CovbenchError(
                f"input.resize = {self.input.resize} is smaller than input.size = "
                f"{self.input.size}, which is cut out of it.",
                f"Add --set resize={self.input.size * 8 // 7}.",
            )
        if optim.nesterov and not optim.momentum:
            raise CovbenchError(
                "optim.nesterov = true needs momentum, and optim.momentum is 0.",
                "Set optim.momentum = 0.9, or optim.nesterov = false.",
            )
        return self

    def canonical(self) -> dict[str, Any]:
        """Everything that changes a number, as plain JSON values: section to {field: value}.

        Fields that another one makes idle, such as `step_epochs` under "cosine", are left out.
        """
        data = self.model_dump(mode="json", exclude={"name", "description"})
        if self.optim.schedule != "step":
            del data["optim"]["step_epochs"], data["optim"]["step_factor"]
        return data


_FILES = SettingsFiles(Recipe, "benchmark.pretraining", "recipe", "docs/pretraining.md")


def load_recipe(
    name_or_path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()
) -> Recipe:
    """A shipped recipe by its name, or one's own from a file that ends in .toml.

    Args:
        name_or_path: "imagenet", or "path/to/mine.toml".
        overrides: What to change, as `SettingsFiles.load` takes it.

    Raises:
        CovbenchError: The recipe or a key is not known, a value is not allowed, or the file can't
            be read.
    """
    return _FILES.load(name_or_path, overrides)
