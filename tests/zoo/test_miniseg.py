"""MiniSeg of arXiv 2004.09750v1 and the later MiniSeg-83K; the sizes that they take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.table_rules import table3_operations
from zoo.blocks import ConvBNAct, resize
from zoo.errors import CovbenchError, WeightsUnavailable
from zoo.miniseg_blocks import AHSP, DecoderStep, DownsamplerBlock, FeatureFusion
from zoo.nets.miniseg import Stage
from zoo.nets.miniseg_83k import Stage as Stage83K
from zoo.registry import create_model, get_card

NAMES = ("miniseg", "miniseg-83k", "mobilenetv2-miniseg")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def outputs(network: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    out = network(image)
    return out if isinstance(out, tuple) else (out,)


# --- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "params"),
    [
        (ConvBNAct(3, 16, stride=2, act=nn.PReLU), 480),
        (ConvBNAct(16, 16, act=nn.PReLU), 2_352),
        (AHSP(16, 64, 2), 2_112),
        (AHSP(64, 64), 2_880),
        (AHSP(64, 128, 2), 7_808),
        (AHSP(128, 128), 9_856),
        (AHSP(128, 256, 2), 27_904),
        (AHSP(256, 256), 36_096),
        (DownsamplerBlock(3, 16, kernel=3, depthwise=False), 2_400),
        (DownsamplerBlock(3, 16), 496),
        (DownsamplerBlock(16, 64), 2_816),
        (DownsamplerBlock(64, 128), 11_776),
        (DownsamplerBlock(128, 256), 39_936),
        (FeatureFusion(256, 128), 35_328),
        (FeatureFusion(128, 64), 9_472),
        (FeatureFusion(64, 16), 1_344),
        (ConvBNAct(128, 128, 1, act=None), 16_640),
        (DecoderStep(256, 128, lateral_bias=False), 35_328 + 16_640 + 128),
        (DecoderStep(256, 128, lateral_bias=True), 35_328 + 16_640 + 128 + 128),
    ],
)
def test_block_has_the_parameters_of_its_formula(block: nn.Module, params: int) -> None:
    assert count(block) == params


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("height", [16, 17])
def test_both_paths_reach_the_same_size(stride: int, height: int) -> None:
    x = torch.randn(2, 8, height, 9)
    expected = (2, 16, -(-height // stride), -(-9 // stride))
    assert AHSP(8, 16, stride)(x).shape == expected
    assert DownsamplerBlock(8, 16, stride)(x).shape == expected


def test_ahsp_adds_each_branch_to_the_sum_of_those_before() -> None:
    block = AHSP(8, 8).eval()
    block.fuse = nn.Identity()
    nn.init.zeros_(block.attention.weight)
    for k, branch in enumerate(block.branches):  # each multiplies its input by k + 1
        nn.init.zeros_(branch.weight)
        branch.weight.data[:, :, 1, 1] = k + 1
    x = torch.randn(1, 8, 12, 12)
    reduced = block.reduce(x)
    pooled = block.pool(reduced)
    sums = torch.cat([pooled + total * reduced for total in (1, 3, 6, 10)], dim=1)
    torch.testing.assert_close(block(x), 1.5 * sums)  # an untrained gate is sigmoid(0) = 1/2


def test_ahsp_attends_to_each_branch_by_itself() -> None:
    block = AHSP(8, 8).eval()
    block.fuse = nn.Identity()
    x = torch.randn(1, 8, 12, 12)
    nn.init.zeros_(block.attention.weight)
    plain = block(x)
    block.attention.weight.data[2] = 1.0
    changed = (block(x) != plain).any(dim=(0, 2, 3))
    assert changed.tolist() == [False, False, False, False, True, True, False, False]


def test_resize_leaves_the_right_size_alone() -> None:
    x = torch.randn(1, 2, 4, 6)
    assert resize(x, (4, 6)) is x
    assert resize(x, (9, 5)).shape == (1, 2, 9, 5)


# --- miniseg -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("strict", "params"), [(False, 472_440), (True, 470_536)])
def test_miniseg_size(strict: bool, params: int) -> None:
    assert count(create_model("miniseg", strict=strict)) == params


def test_miniseg_size_by_part() -> None:
    network = create_model("miniseg")
    stages = [s for s in network.modules() if isinstance(s, Stage)]
    assert [count(s.blocks) for s in stages] == [5_184, 10_752, 86_656, 244_480]
    assert [count(s.second) for s in stages] == [2_400, 2_816, 11_776, 39_936]
    steps = [s for s in network.modules() if isinstance(s, DecoderStep)]
    assert [count(s.act) for s in steps] == [16, 64, 128]
    assert [count(h) for h in network.decoder.heads] == [34, 130, 258, 514]


def test_miniseg_has_both_printed_numbers_and_the_literal_text_neither() -> None:
    with torch.device("meta"):
        default, literal = create_model("miniseg"), create_model("miniseg", strict=True)
        image = torch.empty(1, 3, 512, 512)
    assert f"{count(default) / 1e3:.2f}K" == "472.44K"
    assert f"{table3_operations(default, image) / 1e9:.2f}G" == "2.27G"
    assert f"{count(literal) / 1e3:.2f}K" == "470.54K"
    assert f"{table3_operations(literal, image) / 1e9:.2f}G" == "2.15G"


def test_miniseg_stage_adds_the_second_path_to_every_block_but_the_first() -> None:
    stage = Stage([nn.AvgPool2d(2), nn.Identity(), nn.Identity()], nn.MaxPool2d(2))
    image = torch.randn(1, 2, 8, 8)
    main, both = stage(image, image)
    first, second = nn.AvgPool2d(2)(image), nn.MaxPool2d(2)(image)
    torch.testing.assert_close(main, 4 * first + 3 * second)  # 2 (2 E + E') + E'
    torch.testing.assert_close(both, main + second)


@pytest.mark.parametrize("name", ["miniseg", "miniseg-83k"])
def test_main_output_comes_first_and_is_the_one_of_evaluation(name: str) -> None:
    network = create_model(name).eval()
    image = torch.randn(1, 3, 48, 40)
    with torch.no_grad():
        alone = network(image)
        network.decoder.training = True
        heads = outputs(network, image)
    assert len(heads) == 4
    torch.testing.assert_close(heads[0], alone)
    assert all(not torch.equal(head, alone) for head in heads[1:])


# --- miniseg-83k -------------------------------------------------------------------------------


@pytest.mark.parametrize(("aux", "params", "heads"), [(True, 82_912, 4), (False, 82_666, 1)])
def test_miniseg_83k_size(aux: bool, params: int, heads: int) -> None:
    network = create_model("miniseg-83k", aux=aux)
    assert count(network) == params
    assert len(outputs(network.train(), torch.randn(1, 3, 32, 32))) == heads


def released_names() -> Iterator[str]:
    """The names of the entries of the authors' checkpoints."""
    bn = [f"bn.{n}" for n in ("weight", "bias", "running_mean", "running_var")]
    bn.append("bn.num_batches_tracked")
    plain = ["conv.weight", *bn, "act.weight"]
    second = ["conv0.weight", "conv1.weight", *bn, "act.weight"]
    pyramid = ["conv1x1_down.weight", *(f"conv{k}.weight" for k in (1, 2, 3, 4))]
    pyramid += ["attention.weight", "conv1x1_fuse.weight", *bn, "act.weight"]
    for i, blocks in enumerate((3, 4, 9, 7), start=1):
        modules = {f"long{i}": second, f"down{i}": plain if i == 1 else pyramid}
        modules |= {f"level{i}.{j}": modules[f"down{i}"] for j in range(blocks - 1)}
        modules |= {f"level{i}_long.{j}": second for j in range((blocks - 1) // 2)}
        if i < 4:
            modules[f"cat{i}"] = ["0.weight", *(n.replace("bn", "1") for n in bn)]
            modules[f"up{i}_conv{i + 1}"] = [f"conv{k}.weight" for k in (0, 1, 2)] + bn
        modules[f"up{i}_conv{i}"] = ["weight", "bias"]
        modules[f"up{i}_bn{i}"] = [n.removeprefix("bn.") for n in bn]
        modules[f"up{i}_act"] = ["weight"]
        modules[f"pred{i}.1"] = ["weight", "bias"]
        yield from (f"{module}.{name}" for module, names in modules.items() for name in names)


def test_released_names_fill_every_entry_once() -> None:
    released = get_card("miniseg-83k").released
    assert released is not None
    theirs = {name: torch.zeros(()) for name in released_names()}
    assert len(theirs) == 467
    assert released.matches(theirs)
    ours = create_model("miniseg-83k", **dict(released.options)).state_dict()
    assert released.convert(theirs).keys() == ours.keys()
    assert not released.matches(ours)


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("COVBENCH_SHARED", "")) / "data"
    if not (folder / "miniseg_reference/MiniSeg_CrossVal1.pth").is_file():
        pytest.skip("COVBENCH_SHARED names no folder with the released weights")
    return folder


def test_released_weights_give_their_known_counts(shared: Path) -> None:
    card = get_card("miniseg-83k")
    assert card.released is not None
    file = shared / "miniseg_reference/MiniSeg_CrossVal1.pth"
    state = torch.load(file, map_location="cpu", weights_only=True)
    assert card.released.matches(state)
    network = create_model("miniseg-83k").eval()
    network.load_state_dict(card.released.convert(state))

    tp = fp = fn = tn = 0
    for line in (shared / "COVID-19-CT100/dataList/val0.txt").read_text().splitlines():
        image_file, mask_file = (str(shared / name) for name in line.split())
        rgb = cv2.cvtColor(cv2.imread(image_file), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        truth = cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE) == 255
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = network((image - 0.602034) / 0.296299)
        found = logits[0].argmax(0).numpy() == 1
        tp += int((found & truth).sum())
        fp += int((found & ~truth).sum())
        fn += int((~found & truth).sum())
        tn += int((~found & ~truth).sum())

    # Exact on the CPU where it was measured; other kernels may tip a pixel at the boundary.
    assert (tp, fp, fn, tn) == pytest.approx((244_789, 84_986, 50_865, 4_862_240), abs=20)
    assert tp + fn == 295_654


@pytest.mark.parametrize(
    ("options", "groups"), [({}, {4}), ({"block": "single-branch", "paths": 1}, {2, 4})]
)
def test_a_quarter_of_24_channels_has_two_groups(options: dict[str, Any], groups: set[int]) -> None:
    network = create_model("miniseg-83k", residual=False, **options)
    dense = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert {m.groups for m in dense if m.kernel_size == (1, 1)} == groups


@pytest.mark.parametrize("block", ["ahsp", "multi-branch", "single-branch"])
def test_miniseg_83k_with_one_path_is_the_encoder_of_its_main_blocks(block: str) -> None:
    two, one = (create_model("miniseg-83k", block=block, paths=paths) for paths in (2, 1))
    main = sum(count(stage.main_down) + count(stage.main) for stage in two.encoder.stages)
    assert count(one.encoder) == main
    assert count(one) - count(one.encoder) == count(two) - count(two.encoder)


def test_miniseg_83k_without_its_residual() -> None:
    stage = Stage83K(lambda *_, **__: nn.AvgPool2d(1), 2, 2, 3, residual=False)
    stage.main_down, stage.second_down = nn.AvgPool2d(2), nn.MaxPool2d(2)
    stage.second[0] = nn.Identity()
    image = torch.randn(1, 2, 8, 8)
    main, second = stage(image, image)
    first, beside = nn.AvgPool2d(2)(image), nn.MaxPool2d(2)(image)
    torch.testing.assert_close(second, first + 2 * beside)
    torch.testing.assert_close(main, 2 * first + 3 * beside)  # (E + E') + E'', nothing added


@pytest.mark.parametrize(("option", "value"), [("block", "asph"), ("paths", 3)])
def test_miniseg_83k_refuses_what_it_does_not_know(option: str, value: object) -> None:
    with pytest.raises(CovbenchError, match=str(value)):
        create_model("miniseg-83k", **{option: value})


# --- weights of the encoder --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["miniseg", "miniseg-83k"])
def test_imagenet_weights_are_a_file_of_ones_own(name: str, tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    theirs = create_model(name).encoder.state_dict()
    save_file(dict(theirs), file)
    torch.testing.assert_close(
        dict(create_model(name, weights=str(file)).encoder.state_dict()), dict(theirs)
    )
    with pytest.raises(WeightsUnavailable, match="Nobody has published"):
        create_model(name, weights="imagenet")


# --- sizes, for every network with these parts -------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(333, 500), (96, 80), None])
def test_any_size_trains_with_a_batch_of_one(name: str, size: tuple[int, int] | None) -> None:
    card = get_card(name)
    network = create_model(name).train()
    height, width = size or (card.min_size, card.min_size)
    outs = outputs(network, torch.randn(1, 3, height, width))
    assert {tuple(out.shape) for out in outs} == {(1, 2, height, width)}
    torch.stack([out.square().mean() for out in outs]).sum().backward()
    starved = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert starved == []
