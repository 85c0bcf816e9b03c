"""Each clause fails on a network that breaks it, and on that alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import registry
from zoo.cards import Card
from zoo.clauses import CLAUSES
from zoo.contract import ClauseResult, check_model
from zoo.errors import CovbenchError
from zoo.selection import Row

BUILDS, PARAMS, SHAPES, VALUES, REPEATS, STATE, HEADS, LOGITS, GRADIENTS, BATCH1, BF16 = (
    clause for clause, _ in CLAUSES
)


class Good(nn.Module):
    """A network that keeps the contract; the others each break something."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, num_classes, 1)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.first(x)))

    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x))


class Heads(Good):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.side = nn.Conv2d(4, num_classes, 1)

    def forward(self, x: Tensor) -> Any:
        maps = self.features(x)
        return (self.last(maps), self.side(maps)) if self.training else self.last(maps)


class Halved(Good):
    def forward(self, x: Tensor) -> Any:
        return F.interpolate(self.last(F.max_pool2d(self.features(x), 2)), scale_factor=2)


class Pooled(Good):
    def features(self, x: Tensor) -> Tensor:
        return self.first(x) + self.norm(F.adaptive_avg_pool2d(self.first(x), 1))


class ReadsValues(Good):
    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x) * (1.0 + x.mean().item()))


class SmallWhenLarge(Good):
    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x))[..., :400, :]


class NotFinite(Good):
    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x)) / 0.0


class Half(Good):
    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x)).half()


class Random(Good):
    def features(self, x: Tensor) -> Tensor:
        return F.dropout(super().features(x), 0.5, training=True)


class Forgetful(Good):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.register_buffer("hidden", torch.rand(1), persistent=False)

    def forward(self, x: Tensor) -> Any:
        return self.last(self.features(x)) * self.hidden


class SmallHead(Heads):
    def forward(self, x: Tensor) -> Any:
        maps = self.features(x)
        side = F.max_pool2d(self.side(maps), 2)
        return (self.last(maps), side) if self.training else self.last(maps)


class HeadsInEvaluation(Heads):
    def forward(self, x: Tensor) -> Any:
        maps = self.features(x)
        return self.last(maps), self.side(maps)


class LoneHead(Good):
    def forward(self, x: Tensor) -> Any:
        y = self.last(self.features(x))
        return (y,) if self.training else y


class ListOfHeads(Heads):
    def forward(self, x: Tensor) -> Any:
        output = super().forward(x)
        return list(output) if self.training else output


class Softmax(Good):
    def forward(self, x: Tensor) -> Any:
        return F.softmax(self.last(self.features(x)), dim=1)


class Sigmoid(Good):
    def forward(self, x: Tensor) -> Any:
        small = torch.sigmoid(self.last(F.max_pool2d(self.features(x), 2)))
        return F.interpolate(small, size=x.shape[2:], mode="bilinear")


class SigmoidHead(Heads):
    def forward(self, x: Tensor) -> Any:
        maps = self.features(x)
        if not self.training:
            return self.last(maps)
        return self.last(maps), torch.sigmoid(self.side(maps))


class Unused(Good):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.idle = nn.Conv2d(4, 4, 1)


class Detached(Good):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x).detach()


class InfiniteGradient(Good):
    def features(self, x: Tensor) -> Tensor:
        return torch.sqrt(self.norm(self.first(x)).square() * 0.0)


class Overflows(Good):
    def forward(self, x: Tensor) -> Any:
        y = self.last(self.features(x))
        return y * 0.0 / (y.dtype == torch.float32)


def _rgb_only(in_channels: int, num_classes: int) -> nn.Module:
    return Good(3, num_classes)


def _two_classes(in_channels: int, num_classes: int) -> nn.Module:
    return Good(in_channels, 2)


def _broken(builder: Callable[..., nn.Module], **about: Any) -> dict[str, str]:
    results = check_model(Card("net", builder, **about))
    assert [result.clause for result in results] == [clause for clause, _ in CLAUSES]
    assert all(result.detail and "\n" not in result.detail for result in results)
    return {result.clause: result.detail for result in results if not result.passed}


@pytest.mark.parametrize(
    ("builder", "about"),
    [
        (Good, {}),
        (Good, {"params": 130}),
        (Heads, {}),
        (Halved, {"divisor": 2}),
        (Pooled, {"batch1": False}),
        (Unused, {"unused": ("idle.*",)}),
        (Unused, {"source": "pattern"}),
        (Good, {"source": "pattern", "batch1": False}),
    ],
)
def test_networks_that_keep_the_contract(
    builder: Callable[..., nn.Module], about: dict[str, Any]
) -> None:
    assert _broken(builder, **about) == {}


@pytest.mark.parametrize(
    ("builder", "about", "clause", "words"),
    [
        (_rgb_only, {}, BUILDS, "With 1 channels and 1 classes: RuntimeError"),
        (_two_classes, {}, BUILDS, "With 1 channels and 1 classes: It gives (1, 2, 96, 80)"),
        (ReadsValues, {}, BUILDS, "Read no values of tensors"),
        (Good, {"params": 131}, PARAMS, "has 130 parameters, its card says 131"),
        (Halved, {}, SHAPES, "At 333x500: It gives (1, 2, 332, 500) instead of (1, 2, 333, 500)"),
        (SmallWhenLarge, {}, SHAPES, "At 512x512"),
        (NotFinite, {}, VALUES, "not finite"),
        (Half, {}, VALUES, "Its logits are torch.float16"),
        (Random, {}, REPEATS, "Two evaluations differ by up to"),
        (Forgetful, {}, STATE, "gives another output"),
        (SmallHead, {}, HEADS, "It gives (2, 2, 48, 40)"),
        (HeadsInEvaluation, {}, HEADS, "In evaluation it gives a tuple"),
        (LoneHead, {}, HEADS, "a tuple of one"),
        (ListOfHeads, {}, HEADS, "It gives a list"),
        (Softmax, {}, LOGITS, "It ends in Softmax: return logits"),
        (Sigmoid, {}, LOGITS, "It ends in Sigmoid: return logits"),
        (SigmoidHead, {}, LOGITS, "It ends in Sigmoid: return logits"),
        (Unused, {}, GRADIENTS, "None reaches idle.weight, idle.bias"),
        (Detached, {}, GRADIENTS, "first.weight, first.bias, norm.weight and 1 more"),
        (InfiniteGradient, {}, GRADIENTS, "is not finite"),
        (Unused, {"unused": ("i*", "first.*")}, GRADIENTS, "covers what has a gradient: first.w"),
        (Unused, {"unused": ("i*", "gone")}, GRADIENTS, "unused='gone' on its card covers nothing"),
        (Unused, {"unused": ("idle.bias",)}, GRADIENTS, "None reaches idle.weight"),
        (Pooled, {}, BATCH1, "batch1=False"),
        (Good, {"batch1": False}, BATCH1, "It can, though its card says batch1=False"),
        (Overflows, {}, BF16, "not finite"),
    ],
)
def test_a_network_that_breaks_a_clause(
    builder: Callable[..., nn.Module], about: dict[str, Any], clause: str, words: str
) -> None:
    broken = _broken(builder, **about)
    assert words in broken[clause]


@pytest.mark.parametrize(
    ("builder", "about", "clauses"),
    [
        (Good, {"params": 131}, {PARAMS}),
        (SmallWhenLarge, {}, {SHAPES}),
        (Random, {}, {REPEATS, STATE}),
        (Forgetful, {}, {STATE}),
        (SmallHead, {}, {HEADS}),
        (Sigmoid, {}, {LOGITS}),
        (Pooled, {}, {BATCH1}),
        (Overflows, {}, {BF16}),
    ],
)
def test_only_the_broken_clause_fails(
    builder: Callable[..., nn.Module], about: dict[str, Any], clauses: set[str]
) -> None:
    assert set(_broken(builder, **about)) == clauses


def test_a_builder_that_raises_fails_every_clause() -> None:
    def builder(in_channels: int, num_classes: int) -> nn.Module:
        raise ValueError("no such thing\nsecond line")

    broken = _broken(builder)
    assert set(broken) == {clause for clause, _ in CLAUSES}
    assert broken[PARAMS] == "ValueError: no such thing"


def test_checking_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    check_model(Card("net", Random))
    assert torch.equal(torch.get_rng_state(), before)


def test_checking_a_row_builds_it_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    def builder(in_channels: int, num_classes: int, *, idle: bool = False) -> nn.Module:
        return (Unused if idle else Good)(in_channels, num_classes)

    registry.cards()
    monkeypatch.setattr(registry, "_cards", {"net": Card("net", builder, params=130)})
    assert all(result.passed for result in check_model("net"))
    for row in ("net[idle=true]", Row("net", (("idle", True),))):
        broken = [result for result in check_model(row) if not result.passed]
        assert [result.clause for result in broken] == [GRADIENTS]


def test_a_file_is_checked_by_its_path(tmp_path: Path) -> None:
    text = (
        "from torch import nn\n"
        "class Net(nn.Conv2d):\n"
        "    def __init__(self, in_channels, num_classes):\n"
        "        super().__init__(in_channels, num_classes, 3, padding=1)\n"
    )
    (tmp_path / "net.py").write_text(text)
    results = check_model(f"{tmp_path}/net.py:Net")
    assert all(result.passed for result in results)
    assert results[1] == ClauseResult(PARAMS, True, "56, not stated on a card")


def test_one_network_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {name: Card(name, Good, source="built-in") for name in ("a", "b")}
    registry.cards()
    monkeypatch.setattr(registry, "_cards", both)
    with pytest.raises(CovbenchError, match="means several networks: a, b"):
        check_model("all")
