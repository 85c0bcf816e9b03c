"""`make bench`: every benchmark, as ratios against a reference of the same run."""

from __future__ import annotations

import os

import torch

from bench import augment, evaluation, memory, spectral, surface, training


def main() -> None:
    """Run all of them and print what they measured."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s); ratios are medians over rounds\n")
    for title, module in (
        ("(a) training: steps/s through covbench / bare loop", training),
        ("(b) evaluation with all metrics / forward pass alone", evaluation),
        ("(c) surface distances: MedPy's time / ours", surface),
        ("(d) spectral pooling: fft2 form's time / ours", spectral),
        ("(e) augmentation: ms an image", augment),
        ("(f) memory of the driver after 60 runs / after 6", memory),
    ):
        print(title, flush=True)
        for name, value in module.run().items():
            print(f"    {name:36} {value:10.3f}", flush=True)


if __name__ == "__main__":
    main()
