"""The clauses of the contract of a model: one small function for each (`zoo.contract`).

Values are computed at 96x80 on the CPU; larger sizes only have their shapes followed, on the meta
device.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cached_property

import torch
from torch import Tensor, nn

from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.padding import Output, forward_padded
from zoo.registry import build
from zoo.selection import Scalar

SIZE = (96, 80)
SHAPES = ((512, 512), (352, 352), (333, 500))


class Broken(Exception):
    """A clause is not kept; the text says how, and what to do."""


class Subject:
    """The network under test, with what several clauses look at, computed once."""

    def __init__(self, card: Card, options: dict[str, Scalar]) -> None:
        self.card = card
        self.options = options

    def build(self, channels: int = 3, classes: int = 2, seed: int = 0) -> nn.Module:
        """A new network with the initial weights that a seed gives."""
        torch.manual_seed(seed)
        return build(self.card, channels, classes, **self.options)

    def build_on_meta(self, channels: int, classes: int) -> nn.Module:
        """A new network without values."""
        with torch.device("meta"):
            return self.build(channels, classes)

    def run(self, model: nn.Module, x: Tensor) -> Output:
        """The outputs for images of any size, as the harness pads them."""
        return forward_padded(model, x, self.card.divisor, self.card.min_size)

    @cached_property
    def model(self) -> nn.Module:
        """The network that all clauses share."""
        return self.build()

    @cached_property
    def images(self) -> Tensor:
        """Two images of `SIZE`."""
        return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))

    @cached_property
    def trained(self) -> Output:
        """The outputs of a training step on two images, with its gradients in `model`."""
        model = self.model.train()
        torch.manual_seed(2)
        output = self.run(model, self.images)
        # Weights at random, since a plain sum is constant behind some normalisations.
        weigh = torch.Generator().manual_seed(3)
        loss = sum(
            (each * torch.randn(each.shape, generator=weigh)).mean() for each in _outputs(output)
        )
        assert isinstance(loss, Tensor)
        loss.backward()
        return output

    @cached_property
    def evaluated(self) -> Tensor:
        """The output for two images in evaluation."""
        with torch.no_grad():
            return _one(self.run(self.model.eval(), self.images))


def _outputs(output: Output) -> tuple[Tensor, ...]:
    """All outputs of a network; whatever else it gives back is an error."""
    every = output if isinstance(output, tuple) else (output,)
    wrong = next((each for each in every if not isinstance(each, Tensor)), None)
    if wrong is not None:
        raise Broken(f"It gives a {type(wrong).__name__}: return a tensor or a tuple of tensors.")
    return every


def _one(output: Output) -> Tensor:
    """The output in evaluation, which has no auxiliary heads."""
    if not isinstance(output, Tensor):
        raise Broken(
            f"In evaluation it gives a {type(output).__name__}: return the main output alone "
            "unless self.training."
        )
    return output


def _must_be(output: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(output.shape) != shape:
        raise Broken(
            f"It gives {tuple(output.shape)} instead of {shape}: resize the logits to the input, "
            "or set divisor= on its card."
        )


def _builds(subject: Subject) -> str:
    for channels in (1, 3):
        for classes in (1, 2, 4):
            try:
                model = subject.build_on_meta(channels, classes).eval()
                x = torch.empty(1, channels, *SIZE, device="meta")
                with torch.no_grad():
                    _must_be(_one(subject.run(model, x)), (1, classes, *SIZE))
            except Exception as error:
                where = f"{channels} channels and {classes} classes"
                raise Broken(f"With {where}: {one_line(error)}") from error
    return "1 and 3 channels, 1, 2 and 4 classes"


def _parameters(subject: Subject) -> str:
    count = sum(each.numel() for each in subject.build_on_meta(3, 2).parameters())
    stated = None if subject.options else subject.card.params
    if stated is not None and count != stated:
        raise Broken(f"It has {count:,} parameters, its card says {stated:,}: mend one of them.")
    return f"{count:,}" + ("" if stated else ", not stated on a card")


def _shapes(subject: Subject) -> str:
    smallest = (subject.card.min_size, subject.card.min_size)
    model = subject.build_on_meta(3, 2).eval()
    for size in (*SHAPES, smallest):
        try:
            with torch.no_grad():
                output = _one(subject.run(model, torch.empty(1, 3, *size, device="meta")))
            _must_be(output, (1, 2, *size))
        except Exception as error:
            raise Broken(f"At {size[0]}x{size[1]}: {one_line(error)}") from error
    return ", ".join(f"{height}x{width}" for height, width in (*SHAPES, smallest))


def _values(subject: Subject) -> str:
    output = subject.evaluated
    _must_be(output, (2, 2, *SIZE))
    if output.dtype != torch.float32:
        raise Broken(f"Its logits are {output.dtype}: keep the precision of the input.")
    if not output.isfinite().all():
        raise Broken("Its logits are not finite: check its normalisation and its initial weights.")
    return f"finite, from {output.min():.3g} to {output.max():.3g}"


def _logits(subject: Subject) -> str:
    for output in _outputs(subject.trained):
        step = output.grad_fn
        # What only moves values about may follow the activation.
        while step is not None and step.name().startswith(("Slice", "Upsample", "View", "Clone")):
            step = step.next_functions[0][0]
        if step is not None and step.name().startswith(("Sigmoid", "Softmax", "LogSoftmax")):
            raise Broken(
                f"It ends in {step.name().partition('Backward')[0]}: return logits, the loss "
                "applies it."
            )
    return "no softmax or sigmoid at the end"


def _heads(subject: Subject) -> str:
    outputs = _outputs(subject.trained)
    for output in outputs:
        _must_be(output, (2, 2, *SIZE))
    _one(subject.evaluated)
    if isinstance(subject.trained, tuple) and len(outputs) < 2:
        raise Broken("In training it gives a tuple of one: return the tensor itself.")
    return f"{len(outputs) - 1} in training, none in evaluation"


def _batch_of_one(subject: Subject) -> str:
    stated = subject.card.batch1
    try:
        with torch.no_grad():
            subject.run(subject.build(), subject.images[:1])
    except ValueError as error:
        if stated:
            raise Broken(
                f"It can't: {one_line(error)} Use no batch norm behind a global pooling, or set "
                "batch1=False on its card."
            ) from error
        return "it can't, as its card says"
    if not stated and subject.card.source != "pattern":
        raise Broken("It can, though its card says batch1=False: remove that.")
    return "it can"


def _gradients(subject: Subject) -> str:
    _outputs(subject.trained)
    parameters = dict(subject.model.named_parameters())
    wild = [
        name
        for name, each in parameters.items()
        if each.grad is not None and not each.grad.isfinite().all()
    ]
    if wild:
        raise Broken(f"The gradient of {_some(wild)} is not finite: look for a division by zero.")
    idle = [name for name, each in parameters.items() if each.grad is None]
    patterns = subject.card.unused
    for pattern in patterns:
        matched = [name for name in parameters if fnmatchcase(name, pattern)]
        used = [name for name in matched if name not in idle]
        # With other options it need not hold: what was idle may have a use, or be gone.
        if (used or not matched) and not subject.options:
            fault = f"covers what has a gradient: {_some(used)}" if used else "covers nothing"
            raise Broken(f"unused={pattern!r} on its card {fault}. Correct it.")
    loose = [name for name in idle if not any(fnmatchcase(name, each) for each in patterns)]
    # Nobody wrote a card for this very network of a library.
    if loose and subject.card.source != "pattern":
        raise Broken(
            f"None reaches {_some(loose)}: remove it, or name it in unused= on its card if the "
            "paper has it so."
        )
    reached = len(parameters) - len(idle)
    return f"{reached} of {len(parameters)} tensors" + (f", not {_some(idle)}" if idle else "")


def _repeatable(subject: Subject) -> str:
    with torch.no_grad():
        again = _one(subject.run(subject.model.eval(), subject.images))
    if not torch.equal(again, subject.evaluated):
        raise Broken(
            f"Two evaluations differ by up to {(again - subject.evaluated).abs().max():.3g}: "
            "leave nothing random on in evaluation."
        )
    return "bit for bit"


def _round_trip(subject: Subject) -> str:
    model = subject.model.eval()
    fresh = subject.build(seed=1).eval()
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        before = _one(subject.run(model, subject.images))
        after = _one(subject.run(fresh, subject.images))
    if not torch.equal(before, after):
        raise Broken(
            "A fresh network with the same state_dict gives another output: keep what it computes "
            "with in parameters and buffers."
        )
    return f"{len(model.state_dict())} tensors"


def _bfloat16(subject: Subject) -> str:
    model = subject.build()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        training = _outputs(subject.run(model.train(), subject.images))
        evaluation = _one(subject.run(model.eval(), subject.images[:1]))
    if not all(each.isfinite().all() for each in (*training, evaluation)):
        raise Broken("Its logits are not finite: compute sums of many values in float32.")
    return "finite"


# In this order, since the first clauses name the cause most plainly. What evaluates stands before
# the training step, which moves the statistics of a batch norm.
CLAUSES: tuple[tuple[str, Callable[[Subject], str]], ...] = (
    ("builds for any channels and classes, on the meta device", _builds),
    ("the parameters are those on its card", _parameters),
    ("the output has the size of the input", _shapes),
    ("finite float32 logits", _values),
    ("two evaluations agree", _repeatable),
    ("the state_dict holds all of it", _round_trip),
    ("auxiliary outputs are full-size, and only in training", _heads),
    ("the outputs are logits", _logits),
    ("gradients reach every parameter", _gradients),
    ("trains on a batch of one, or its card says not", _batch_of_one),
    ("finite under bfloat16 autocast", _bfloat16),
)


def one_line(error: Exception) -> str:
    """An exception in one line that says what to do."""
    if isinstance(error, Broken):
        return str(error)
    if isinstance(error, CovbenchError):
        return f"{error.problem} {error.remedy}"
    first = (str(error).strip() or "no message").splitlines()[0]
    remedy = " Read no values of tensors (.item(), numpy)." if "meta" in first else ""
    return f"{type(error).__name__}: {first}{remedy}"


def _some(names: list[str]) -> str:
    """The first names of many."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
