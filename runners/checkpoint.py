"""Checkpoints of a training: two are kept, each named by the SHA-256 of its bytes."""

from __future__ import annotations

import io
import random
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from results.files import lasting, write_atomically
from results.spec import sha256
from zoo.errors import CovbenchError, reason_of
from zoo.limits import read_limited

KEPT = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and drop all but the newest two.

    The hash in the name shows a flipped byte, which `torch.load` would not notice.

    Args:
        folder: Where the run's files lie.
        step: Optimiser steps done; orders the checkpoints.
        state: Tensors and plain values only: it is read back with `weights_only`.

    Returns:
        The new file.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    path = folder / f"checkpoint-{step:09d}-{sha256(data)}.pt"
    write_atomically(path, data)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest sound checkpoint of a run.

    Args:
        folder: Where the run's files lie.

    Returns:
        The state, or None where there is none, and a line for every file that was refused.
    """
    refused = []
    for path in _newest_first(folder):
        if not path.is_file():
            refused.append(f"{path.name} is no plain file")
            continue
        try:
            data = lasting(partial(read_limited, path, "checkpoint_bytes"))
        except CovbenchError as error:
            refused.append(error.problem)
            continue
        except OSError as error:
            refused.append(f"{path.name} can't be read: {error.strerror}")
            continue
        if sha256(data) != path.stem.rsplit("-", 1)[-1]:
            refused.append(f"{path.name} is damaged (its bytes don't match its SHA-256)")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the reader, about what is refused below anyway
                state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return state, refused
        except Exception as error:  # a damaged file can break its reader in any way
            reason = reason_of(error)
            refused.append(f"{path.name} can't be read: {reason}")
    return None, refused


def remove_checkpoints(folder: Path) -> None:
    """Delete a run's checkpoints, once its record is written."""
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"), reverse=True)


def random_states() -> dict[str, Any]:
    """The states of every random generator that a network could draw from."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert isinstance(keys, np.ndarray)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "python": list(random.getstate()),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Set every random generator to the states that `random_states` gave."""
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
