"""How long a training batch takes to read, vary and normalise: milliseconds per image.

Run `python -m bench.augment [--device cuda] [--threads 1]`. For comparison: the released
MiniSeg code, which resizes, crops and flips one image after the other with OpenCV, took 13.6 ms
per image at 512x512 on a CPU.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.augment import Batch, batch_sizes, draw_matrices, plan_epoch, resample
from benchmark.bank import ImageBank, training_batch
from benchmark.protocols import AugmentRule, Protocol, load_protocol

IMAGES, BATCH = 20, 5  # five is the batch of both protocols


def run(device: str = "cpu", repeats: int = 20) -> dict[str, float]:
    """Median milliseconds per image on one machine.

    Args:
        device: Where the batches are made.
        repeats: Timed batches per figure, after three that are not timed.

    Returns:
        Milliseconds by protocol, size and part: "identical 512" and "miniseg-code 512 x1.5" are
        whole batches of five; "identical 512 resample" is the resampling alone, and "identical
        512 grid_sample" what PyTorch's own functions take for the same.
    """
    noise = np.random.default_rng(0)
    result: dict[str, float] = {}
    for size in (256, 512):
        images = noise.integers(0, 256, (IMAGES, size, size), dtype=np.uint8)
        masks = noise.integers(0, 2, (IMAGES, size, size), dtype=np.uint8)
        bank = ImageBank(images, masks, device=device)
        for name in ("identical", "miniseg-code"):
            protocol = load_protocol(name, {"size": size, "border_crop_px": [32, 32, 16, 16]})
            first = {batch.size: batch for batch in plan_epoch(protocol, 0, 0, IMAGES)}
            for side in batch_sizes(protocol):
                work = functools.partial(_whole, bank, first[side], protocol)
                scale = "" if name == "identical" else f" x{side / size:g}"
                result[f"{name} {size}{scale}"] = _median_ms(work, repeats, device) / BATCH
        for part, function in (("resample", _resample), ("grid_sample", _grid_sample)):
            once = functools.partial(function, *bank.batch(range(BATCH)))
            result[f"identical {size} {part}"] = _median_ms(once, repeats, device) / BATCH
    return result


def _whole(bank: ImageBank, batch: Batch, protocol: Protocol, *, epoch: int) -> None:
    training_batch(bank, batch, protocol, seed=0, epoch=epoch, mean=0.5, std=0.3, channels=3)


def _resample(images: Tensor, masks: Tensor, *, epoch: int) -> None:
    rule, size = AugmentRule(), images.shape[-1]
    resample(images, masks, draw_matrices(rule, 0, epoch, range(BATCH), size=size), size)


def _grid_sample(images: Tensor, masks: Tensor, *, epoch: int) -> None:
    size = images.shape[-1]
    matrices = draw_matrices(AugmentRule(), 0, epoch, range(BATCH), size=size).to(images.device)
    grid = F.affine_grid(matrices, [BATCH, 1, size, size], align_corners=False)
    F.grid_sample(images[:, None].float(), grid, align_corners=False)
    F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False).long()


def _median_ms(work: Callable[..., object], repeats: int, device: str) -> float:
    times = []
    for epoch in range(repeats + 3):
        start = time.perf_counter()
        work(epoch=epoch)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:])) * 1e3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Milliseconds per image of augmentation.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for part, value in run(options.device).items():
        print(f"{part:28} {value:7.2f} ms per image")
