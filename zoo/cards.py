"""What is known of a network beside its code: paper, table row, size, limits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

Source = Literal["built-in", "pattern", "entry point", "file", "session"]
Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class ReleasedCheckpoint:
    """How to read weights that the authors of a network published.

    Attributes:
        origin: Where they come from, and their licence, in one line.
        protocol: The shipped protocol whose input preparation they were trained with.
        preprocessing: That preparation in words, for the error when another one is asked for.
        matches: Whether a state dict carries the authors' key names.
        convert: The same weights under the names of our network.
        options: Options with which the network must be built to hold them.
    """

    origin: str
    protocol: str
    preprocessing: str
    matches: Callable[[dict[str, Tensor]], bool]
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]]
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Card:
    """One network of the registry.

    Attributes:
        name: The name by which it is selected.
        builder: The function (or class) that builds it.
        paper: Title of the paper.
        reference: arXiv number, DOI or address.
        year: Year of publication.
        tags: Names of groups, selected by `@tag`.
        rows: Rows of published tables that it stands for, each `table/method`; reports join on
            them.
        params: Exact number of parameters with 3 input channels and 2 classes.
        macs: Exact multiply-adds of one 3x512x512 image in evaluation: convolutions, linear layers
            and matrix products.
        encoder: Name of the submodule that is its encoder, if it has one: what ImageNet weights
            initialise, and what a published table sometimes counts alone.
        weights: The ImageNet weights that `weights=imagenet` takes: whose, and their licence.
        divisor: Height and width must be multiples of it; the harness pads and crops back.
        min_size: Smallest height and width that it accepts.
        batch1: Whether it can train on a batch of one.
        trainable: Whether it can be trained as it is; a network joined of others that are trained
            one after the other can't, and its notes say what to train instead.
        overfit_steps: Steps of Adam in which it learns four small slices by heart.
        unused: Patterns (fnmatch) of parameter names that receive no gradient, by design.
        requires: Packages beyond covbench's own that it needs.
        notes: What a user must know, such as where the paper leaves a choice.
        published: Why its counts differ from the published ones, where they do.
        released: Weights that the authors published, if covbench can read them.
        source: Where the registration came from.
        origin: What loads it in another process: a plug-in's file, `file:Class` or entry point.
        module: The module in which it was registered.
    """

    name: str
    builder: Builder
    paper: str = ""
    reference: str = ""
    year: int | None = None
    tags: frozenset[str] = frozenset()
    rows: tuple[str, ...] = ()
    params: int | None = None
    macs: int | None = None
    encoder: str | None = None
    weights: str = ""
    divisor: int = 1
    min_size: int = 32
    batch1: bool = True
    trainable: bool = True
    overfit_steps: int = 40
    unused: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    notes: str = ""
    published: str = ""
    released: ReleasedCheckpoint | None = None
    source: Source = "session"
    origin: str = ""
    module: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """Names and defaults of the options that the builder takes beyond channels and classes."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.builder).parameters.items()
            if name not in ("in_channels", "num_classes")
            and parameter.default is not inspect.Parameter.empty
        }
