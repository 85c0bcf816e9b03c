from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from runners.checkpoint import (
    load_checkpoint,
    random_states,
    remove_checkpoints,
    restore_random_states,
    save_checkpoint,
)


def test_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    for step in (1, 20, 3000):
        save_checkpoint(tmp_path, step, {"step": step})
    assert len(list(tmp_path.glob("checkpoint-*.pt"))) == 2
    assert load_checkpoint(tmp_path) == ({"step": 3000}, [])


def test_a_flipped_byte_is_refused_and_the_one_before_is_used(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"weights": torch.zeros(500)})
    newest = save_checkpoint(tmp_path, 2, {"weights": torch.ones(500)})
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    state, refused = load_checkpoint(tmp_path)
    assert state is not None
    assert torch.equal(state["weights"], torch.zeros(500))
    assert len(refused) == 1
    assert newest.name in refused[0]


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    import hashlib
    import pickle

    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(marker).touch, ())  # type: ignore[return-value]

    data = pickle.dumps(Evil())
    name = f"checkpoint-000000001-{hashlib.sha256(data).hexdigest()}.pt"
    (tmp_path / name).write_bytes(data)
    state, refused = load_checkpoint(tmp_path)
    assert state is None
    assert len(refused) == 1
    assert not marker.exists()


def test_none_in_an_empty_folder_and_none_after_removal(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) == (None, [])
    save_checkpoint(tmp_path, 1, {})
    remove_checkpoints(tmp_path)
    assert load_checkpoint(tmp_path) == (None, [])


def test_random_states_survive_the_file(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"random": random_states()})
    expected = (torch.rand(3), np.random.rand(3), random.random())
    state, _ = load_checkpoint(tmp_path)
    assert state is not None
    restore_random_states(state["random"])
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    assert random.random() == expected[2]
