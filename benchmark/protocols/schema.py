"""A protocol: everything that must be identical between the networks compared."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from benchmark.protocols.sections import (
    AugmentRule,
    InputRule,
    LossRule,
    OptimRule,
    RunRule,
    ScoreRule,
    Section,
    SplitRule,
    StopRule,
)
from zoo.errors import CovbenchError

_LATER = (
    "input.window",
    "input.channels",
    "loss.bce",
    "loss.dice",
    "optim.momentum",
    "optim.nesterov",
    "split.test_by",
    "split.balance",
    *(f"stop.{field}" for field in StopRule.model_fields),
)
"""Fields that came later: at their defaults they are no part of an id, as before there were any."""


class Protocol(Section):
    """One protocol: the settings that all networks of a comparison share."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    input: InputRule = InputRule()
    augment: AugmentRule = AugmentRule()
    loss: LossRule = LossRule()
    optim: OptimRule = OptimRule()
    stop: StopRule = StopRule()
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
        if self.run.select == "best-on-validation" and not self.stop.early:
            raise CovbenchError(
                'run.select = "best-on-validation" needs a validation part, and stop.early is '
                "false.",
                'Set stop.early = true, or run.select = "last".',
            )
        return self

    def num_classes(self, labels: int = 2) -> int:
        """Channels of a network's output: one sigmoid logit, or a softmax over all labels.

        Args:
            labels: Labels of the masks, the background included.
        """
        return 1 if self.input.outputs == "sigmoid" else labels

    def canonical(self) -> dict[str, Any]:
        """Everything that changes a number, defaults filled in, as plain JSON values.

        Left out: names and descriptions, what is kept and how often it is saved, which folds and
        seeds are run (a run has one of each, named beside the protocol), every field that another
        one makes idle, such as `augment.zoom` in mode "sizes", and those of `_LATER` at their
        defaults.

        Returns:
            Section name to {field: value}; tuples are lists.
        """
        data = self._effective()
        for key in _LATER:
            name, field = key.split(".")
            section = getattr(self, name)
            if getattr(section, field) == type(section).model_fields[field].default:
                data[name].pop(field, None)
        return {section: fields for section, fields in data.items() if fields}

    def _effective(self) -> dict[str, dict[str, Any]]:
        """Every field that changes a number, by its section; defaults filled in."""
        data = self.model_dump(mode="json", exclude={"name", "description"})
        for key in self._idle():
            section, field = key.split(".")
            del data[section][field]
        return data

    def _idle(self) -> set[str]:
        """The keys that change no number of a run under this protocol."""
        idle = {f"run.{field}" for field in ("checkpoint_every", "keep", "out_of_memory")}
        idle |= {"split.run_folds", "split.seeds"}
        augment, optim = self.augment, self.optim
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
            idle |= {"split.train_fraction", "split.draws", "split.test_by"}
        else:
            idle.add("split.folds")
        if self.loss.name != "bce-dice":
            idle |= {"loss.bce", "loss.dice"}
        idle |= {"optim.betas"} if optim.name == "sgd" else {"optim.momentum", "optim.nesterov"}
        if optim.schedule != "poly":
            idle.add("optim.power")
        if not self.stop.early:
            idle |= {f"stop.{field}" for field in StopRule.model_fields} - {"stop.early"}
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
            for section, fields in self._effective().items()
            for field, value in fields.items()
            if value != base[section][field]
        ]
