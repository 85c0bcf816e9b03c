"""Pretraining in this process: the head, the loop, stopping and going on, what can't be trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.pretraining import Recipe, load_recipe
from benchmark.pretraining.images import ImageFolder, open_folder
from runners.checkpoint import load_checkpoint, save_checkpoint
from runners.pretraining.classifier import (
    Classifier,
    build_classifier,
    check_encoder,
    deepest,
    pretrainable,
)
from runners.pretraining.plan import check_rows, estimate_seconds
from runners.pretraining.train import (
    PretrainHooks,
    PretrainState,
    hits,
    make_optimiser,
    pretrain,
    rate,
)
from runners.train import Diverged, Interrupted
from tests.runners.photos import photo_folder
from zoo.errors import CovbenchError
from zoo.registry import get_card
from zoo.selection import select

CPU = torch.device("cpu")
SMALL = ["size=32", "resize=36", "batch=8", "epochs=3", "warmup_epochs=1", "lr=0.05"]


class Toy(nn.Module):
    """An encoder with state and with randomness of its own; it gives two maps, the deeper first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.BatchNorm2d(6), nn.PReLU()
        )
        self.second = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(6, 8, 3, stride=2, padding=1))

    def forward(self, image: torch.Tensor) -> dict[str, Any]:
        shallow = self.first(image)
        return {"deep": self.second(shallow), "others": [shallow]}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageFolder:
    return open_folder(photo_folder(tmp_path_factory.mktemp("photos") / "small"))


def toy(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(Toy(), 8, 3)


def train(images: ImageFolder, recipe: Recipe, **more: Any) -> tuple[Classifier, PretrainState]:
    model = toy()
    return model, pretrain(model, images, recipe, CPU, **more)


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_it_learns_and_the_result_does_not_depend_on_threads(images: ImageFolder) -> None:
    recipe = load_recipe("imagenet", [*SMALL, "epochs=8"])
    model, state = train(images, recipe)
    assert state.step == 24 and len(state.curve) == len(state.top1) == 8 and state.top5 == []
    assert state.curve[-1] < state.curve[0]
    assert state.top1[-1] > 0.6  # by chance 1/3
    assert_same(model, train(images, recipe, threads=3)[0])
    other = train(images, load_recipe("imagenet", [*SMALL, "epochs=8", "seed=1"]))[0]
    assert not torch.equal(model.head.weight, other.head.weight)


class StopAt:
    """Says once that one should stop, at the n-th time that it is asked."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self) -> bool:
        self._left -= 1
        return self._left == 0


# Asked after each of 3 steps an epoch, and after each of 2 batches of validation: in an epoch, at
# its end, in its validation, at the end of the last epoch, in the last validation.
@pytest.mark.parametrize("at", [1, 3, 4, 13, 15])
def test_stopped_and_continued_is_as_never_stopped(
    at: int, images: ImageFolder, tmp_path: Path
) -> None:
    recipe = load_recipe("imagenet", SMALL)
    straight, expected = train(images, recipe)
    hooks = PretrainHooks(checkpoint=partial(save_checkpoint, tmp_path), should_stop=StopAt(at))
    with pytest.raises(Interrupted):
        train(images, recipe, hooks=hooks)
    torch.rand(3)  # whatever happens in between
    resume, refused = load_checkpoint(tmp_path)
    assert resume is not None and refused == []
    model, state = train(images, recipe, resume=resume)
    assert state.resumed == 1
    assert_same(model, straight)
    assert (state.curve, state.top1) == (expected.curve, expected.top1)


def test_stopped_after_every_step(images: ImageFolder, tmp_path: Path) -> None:
    recipe = load_recipe("imagenet", [*SMALL, "epochs=2"])
    straight, expected = train(images, recipe)
    for step in range(1, expected.step + 1):
        hooks = PretrainHooks(
            checkpoint=partial(save_checkpoint, tmp_path),
            should_stop=_after(step, tmp_path),
        )
        with pytest.raises(Interrupted):
            train(images, recipe, resume=load_checkpoint(tmp_path)[0], hooks=hooks)
    model, state = train(images, recipe, resume=load_checkpoint(tmp_path)[0])
    assert state.resumed == expected.step
    assert_same(model, straight)
    assert state.top1 == expected.top1


def _after(step: int, folder: Path) -> Callable[[], bool]:
    """Stop at the first step after the newest checkpoint, not in a validation before it."""
    asked = [0]
    found = load_checkpoint(folder)[0]
    pending = found is not None and len(found["progress"]["top1"]) < len(found["progress"]["curve"])
    waits = 2 if pending else 0  # batches of validation

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > waits

    return stop


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    images: ImageFolder, tmp_path: Path
) -> None:
    recipe = load_recipe("imagenet", SMALL)
    straight = train(images, recipe)[0]
    with pytest.raises(Interrupted):
        hooks = PretrainHooks(checkpoint=partial(save_checkpoint, tmp_path), should_stop=StopAt(7))
        train(images, recipe, hooks=hooks)
    newest = max(tmp_path.glob("checkpoint-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    resume, refused = load_checkpoint(tmp_path)
    assert resume is not None and len(refused) == 1
    assert_same(train(images, recipe, resume=resume)[0], straight)


def test_a_loss_that_is_not_finite_ends_it(images: ImageFolder) -> None:
    model = toy()
    nn.init.constant_(model.head.weight, math.inf)
    with pytest.raises(Diverged, match="epoch 1, step 1"):
        pretrain(model, images, load_recipe("imagenet", SMALL), CPU)


def test_half_precision_and_channels_last_run(images: ImageFolder) -> None:
    recipe = load_recipe("imagenet", [*SMALL, "precision=bf16", "channels_last=true"])
    model, state = train(images, recipe)
    assert state.step == 9 and model.head.weight.dtype == torch.float32
    with pytest.raises(CovbenchError, match="needs a GPU"):
        check_rows(select("miniseg"), load_recipe("imagenet", ["precision=fp16"]), "cpu")


def test_the_rate_by_hand() -> None:
    optim = load_recipe(
        "imagenet", ["lr=0.4", "epochs=6", "warmup_epochs=2", "step_epochs=3,5"]
    ).optim
    found = [rate(optim, step, 2) for step in range(12)]
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert found[4] == pytest.approx(0.4)  # the cosine begins at the top,
    assert found[8] == pytest.approx(0.2)  # is half down half way,
    assert 0 < found[11] < 0.02  # and would be zero a step later
    steps = optim.model_copy(update={"schedule": "step"})
    assert [rate(steps, step, 2) for step in (4, 5, 6, 9, 10, 11)] == pytest.approx(
        [0.4, 0.4, 0.04, 0.04, 0.004, 0.004]
    )


def test_decay_spares_what_the_recipe_says() -> None:
    model = toy()
    everything = make_optimiser(model, load_recipe("imagenet").optim).param_groups
    assert [group["weight_decay"] for group in everything] == [1e-4]
    weights, spared = make_optimiser(
        model, load_recipe("imagenet", ["decay=weights"]).optim
    ).param_groups
    assert (weights["weight_decay"], spared["weight_decay"]) == (1e-4, 0.0)
    # Two convolutions and the head have a bias each; batch norm has two, PReLU one.
    assert (len(weights["params"]), len(spared["params"])) == (3, 6)


def test_hits_by_hand() -> None:
    logits = torch.tensor([[5.0, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]])
    assert hits(logits, torch.tensor([0, 3, 5])).tolist() == [1, 1, 2, 2, 2]
    assert hits(logits[:, :3], torch.tensor([1, 0, 0])).tolist() == [1, 2, 3, 3, 3]


def test_the_deepest_map() -> None:
    large, small, last = torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 2, 2)
    assert deepest(large) is large
    assert deepest([large, (small, {"a": last}), torch.zeros(1, 9)]) is last
    assert deepest({"a": small, "b": large}) is small
    with pytest.raises(ValueError, match="no map"):
        deepest([torch.zeros(1, 9)])


@pytest.mark.parametrize(
    ("name", "channels"),
    [("miniseg", 256), ("miniseg-83k", 64), ("frrn", 384), ("smp:unet/resnet34", 512)],
)
def test_encoders_of_the_zoo_get_a_head(name: str, channels: int) -> None:
    model = build_classifier(get_card(name), {}, 7, 32).eval()
    assert model.head.in_features == channels
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unet", "names no encoder"),
        ("edanet", "takes no weights"),
        ("segnet", "can't be run by itself"),
    ],
)
def test_what_can_not_be_pretrained_is_told_in_two_lines(name: str, words: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        check_encoder(get_card(name), {}, 32)
    assert len(str(caught.value).splitlines()) == 2
    assert words in caught.value.problem
    if words != "can't be run by itself":
        assert "miniseg" in caught.value.remedy


def test_pretraining_begins_from_random_weights() -> None:
    with pytest.raises(CovbenchError, match="begins from random ones"):
        check_encoder(get_card("miniseg"), {"weights": "imagenet"}, 32)


def test_the_list_of_those_with_an_encoder() -> None:
    found = pretrainable()
    assert "miniseg" in found and "unet" not in found and "edanet" not in found


def test_the_estimate_grows_with_epochs(
    images: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners import estimate
    from runners.pretraining import plan

    def rates() -> estimate._Rates:
        assert torch.empty(0).device == CPU  # what is timed must compute
        return estimate._Rates(1e10, 1e9, 1e-5)

    monkeypatch.setattr(estimate, "_measure_rates", rates)
    monkeypatch.setattr(plan, "_reading_seconds", lambda images, recipe: 0.01)
    monkeypatch.setattr(plan, "build_classifier", lambda *_: Classifier(Toy(), 8, 3))

    def about(*settings: str, slots: int = 1) -> float:
        recipe = load_recipe("imagenet", [*SMALL, *settings])
        return estimate_seconds(select("miniseg,miniseg-83k"), images, recipe, 1, slots)

    assert about("epochs=20") == pytest.approx(10 * about("epochs=2"))
    assert about(slots=2) == pytest.approx(about() / 2)
    # 24 images, 3 epochs, 2 networks: reading alone takes 1.44 s.
    assert 1.44 < about() < about("size=64", "resize=72")
