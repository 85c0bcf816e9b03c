"""`make bench`: every benchmark, as ratios against a reference of the same run.

Each runs in a process of its own: what one leaves in the allocator speeds up the next.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import torch

TITLES = {
    "training": "(a) training: steps/s through covbench / bare loop",
    "evaluation": "(b) evaluation with all metrics / forward pass alone",
    "surface": "(c) surface distances: MedPy's time / ours",
    "spectral": "(d) spectral pooling: fft2 form's time / ours",
    "augment": "(e) augmentation: ms an image",
    "memory": "(f) memory of the driver after 60 runs / after 6",
    "report": "(g) a whole report of the shipped store: seconds, and / reading it",
    "reading": "(h) reading prepared slices of 512x512 / np.load of the same",
    "preparing": "(i) preparing 20 volumes of 512x512x300: peak memory and time",
    "startup": "(j) from the fork of a worker to its first step; modules it had to import itself",
    "predicting": "(k) memory of predicting a volume of 512x512x300 / of reading it",
}


def main(names: list[str]) -> None:
    """Run one benchmark here, or each in a process of its own."""
    if len(names) != 1:
        for name in names or TITLES:
            subprocess.run([sys.executable, "-m", "bench", name], check=True)
        return
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    print(f"{TITLES[names[0]]}; torch {torch.__version__}, {threads} thread(s)", flush=True)
    for name, value in importlib.import_module(f"bench.{names[0]}").run().items():
        print(f"    {name:36} {value:10.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
