"""Weights files: what is read, what is refused, and that code in a file is never run."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmark.protocols import load_protocol
from runners.weights import check_preprocessing, load_weights, read_weights, save_weights
from tests.runners.toy import CARD, ToyNet, toy_model
from tests.zoo.test_miniseg import released_names
from zoo.errors import CovbenchError
from zoo.registry import create_model, get_card


@contextmanager
def refused(path: Path, *words: str) -> Iterator[None]:
    """A refusal in exactly two lines that names the file and says these words."""
    with pytest.raises(CovbenchError) as caught:
        yield
    first, second = str(caught.value).split("\n")
    assert path.name in first
    assert first.strip() and second.strip()
    assert [word for word in words if word not in first + second] == []


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(value, expected[key]) for key, value in found.items()
    )


# --- what is read ------------------------------------------------------------------------------


def test_safetensors_round_trip(tmp_path: Path) -> None:
    network, path = toy_model(seed=1), tmp_path / "weights.safetensors"
    save_weights(network, path)
    assert same(read_weights(path), network.state_dict())
    other = toy_model(seed=2)
    assert not same(other.state_dict(), network.state_dict())
    load_weights(other, path, CARD)
    assert same(other.state_dict(), network.state_dict())


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(lambda state: {"state_dict": state, "epoch": 80}, id="state_dict"),
        pytest.param(lambda state: {"model": state, "optimiser": {}}, id="model"),
        pytest.param(lambda state: {"model_state_dict": state}, id="model_state_dict"),
        pytest.param(lambda state: {f"module.{k}": v for k, v in state.items()}, id="module"),
        pytest.param(
            lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}}, id="both"
        ),
        pytest.param(lambda state: {k: v.double() for k, v in state.items()}, id="double"),
        pytest.param(lambda state: {k: nn.Parameter(v.float()) for k, v in state.items()}, id="p"),
    ],
)
@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin"])
def test_pytorch_files(
    wrap: Callable[[dict[str, Tensor]], object], ending: str, tmp_path: Path
) -> None:
    network, other = toy_model(seed=1), toy_model(seed=2)
    path = saved(tmp_path / f"weights{ending}", wrap(network.state_dict()))
    load_weights(other, path, CARD)
    assert same(other.state_dict(), network.state_dict())


def test_the_old_format_without_zip_is_read(tmp_path: Path) -> None:
    network, path = toy_model(), tmp_path / "old.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    assert same(read_weights(path), network.state_dict())


def test_weights_saved_on_a_gpu_are_read_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, path = toy_model(), tmp_path / "gpu.pth"
    # What a GPU's tensor is saved as, made without a GPU.
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    torch.save(network.state_dict(), path)
    monkeypatch.undo()
    if torch.cuda.is_available():
        assert next(iter(torch.load(path, weights_only=True).values())).is_cuda
    else:
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(path, weights_only=True)
    found = read_weights(path)
    assert {value.device.type for value in found.values()} == {"cpu"}
    assert same(found, network.state_dict())


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")  # a third line on standard error
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_code_is_never_run(ending: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / f"evil{ending}"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (marker,))

    for content in (Evil(), {"state_dict": {"weight": torch.zeros(1), "evil": Evil()}}):
        torch.save(content, path)
        with refused(path):
            read_weights(path)
        path.write_bytes(pickle.dumps(content))
        with refused(path):
            read_weights(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()  # so the file would have done it


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_what_is_no_weights_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{ending}"
    with refused(path, "no weights file"):
        read_weights(path)
    path.mkdir()
    with refused(path, "no weights file"):
        read_weights(path)
    path.rmdir()
    chance = random.Random(5)
    contents = [b"", b"\0", b"PK\x03\x04", b"\n", b"{}", b"hello, these are weights\n" * 30]
    contents += [chance.randbytes(chance.randint(1, 400)) for _ in range(100)]
    # Beginnings that readers recognise, with noise behind.
    contents += [b"\x80\x02" + chance.randbytes(60) for _ in range(150)]
    contents += [(40).to_bytes(8, "little") + chance.randbytes(60) for _ in range(50)]
    for content in contents:
        path.write_bytes(content)
        with refused(path):
            read_weights(path)


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    network = ToyNet()
    if kind == "safetensors":
        save_weights(network, path)
    else:
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    chance = random.Random(6)
    for length in (1, 7, 8, 9, 30, *(chance.randrange(len(whole) - 1) for _ in range(30))):
        path.write_bytes(whole[:length])
        with refused(path):
            read_weights(path)
    # A flipped byte that only changes a number can't be seen; whatever is seen has two lines.
    seen = 0
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            load_weights(ToyNet(), path, CARD)
        except CovbenchError:
            seen += 1
            with refused(path):
                load_weights(ToyNet(), path, CARD)
    assert seen > 10


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "no state dict"),
        ([torch.zeros(2)], "no state dict"),
        (torch.zeros(2), "no state dict"),
        ("weights", "no state dict"),
        ({"a": torch.zeros(2), "epoch": 3}, "no tensors"),
        ({"state_dict": {"a": 1.0}}, "no tensors"),
    ],
)
def test_what_is_no_state_dict(content: object, words: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", content)
    with refused(path, words):
        read_weights(path)


def test_a_whole_network_instead_of_its_weights(tmp_path: Path) -> None:
    path = saved(tmp_path / "network.pth", nn.Conv2d(1, 1, 1))
    with refused(path, "could run code", "state_dict"):
        read_weights(path)


def test_weights_of_another_network_are_counted(tmp_path: Path) -> None:
    state = dict(ToyNet().state_dict())
    del state["head.bias"], state["aux.bias"]
    state |= {f"extra{number}": torch.zeros(1) for number in range(3)}
    state["head.weight"] = torch.zeros(2, 8, 3, 3)
    path = saved(tmp_path / "other.pth", state)
    network = toy_model()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with refused(path, "2 weights are missing", "3 are foreign", "1 have another shape", "toy"):
        load_weights(network, path, CARD)
    assert same(network.state_dict(), before)


def test_only_shapes_differ(tmp_path: Path) -> None:
    path = saved(tmp_path / "classes.pth", ToyNet(num_classes=3).state_dict())
    with refused(path, "0 weights are missing", "0 are foreign", "4 have another shape", "aux."):
        load_weights(ToyNet(), path, CARD)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_weights_that_are_not_finite(value: float, ending: str, tmp_path: Path) -> None:
    path, broken = tmp_path / f"diverged{ending}", toy_model()
    with torch.no_grad():
        broken.head.weight[1, 3] = value
    save_weights(broken, path) if ending == ".safetensors" else saved(path, broken.state_dict())
    network = toy_model()
    with refused(path, "not finite", "head.weight"):
        load_weights(network, path, CARD)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


# --- released weights --------------------------------------------------------------------------


@pytest.fixture
def released_state() -> dict[str, Tensor]:
    """Random weights of MiniSeg-83K under the names of the authors' code."""
    released = get_card("miniseg-83k").released
    assert released is not None
    torch.manual_seed(3)
    own = create_model("miniseg-83k", **dict(released.options)).state_dict()

    def ours(name: str) -> str:
        return next(iter(released.convert({name: torch.zeros(())})))

    return {name: own[ours(name)].clone() for name in released_names()}


def test_released_names_are_converted(released_state: dict[str, Tensor], tmp_path: Path) -> None:
    path = saved(tmp_path / "MiniSeg_CrossVal9.pth", released_state)
    network, card = create_model("miniseg-83k"), get_card("miniseg-83k")
    assert not any(key.startswith("encoder") for key in released_state)
    load_weights(network, path, card)
    theirs, own = released_state["long1.conv0.weight"], network.state_dict()
    assert torch.equal(own["encoder.stages.0.second_down.pointwise.weight"], theirs)
    torch.manual_seed(3)
    assert same(own, create_model("miniseg-83k").state_dict())
    with refused(path, "1 weights are missing"):
        load_weights(network, saved(path, dict(list(released_state.items())[:-1])), card)


def test_preprocessing_of_released_weights(
    released_state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "MiniSeg_CrossVal9.pth"
    code = load_protocol("miniseg-code")
    check_preprocessing("miniseg-83k", released_state, path, code)
    check_preprocessing(
        "miniseg-83k", released_state, path, load_protocol("miniseg-code", ["score.size=native"])
    )
    for protocol in (
        load_protocol("identical"),
        load_protocol("miniseg-code", ["size=256"]),
        load_protocol("miniseg-code", ["normalise=imagenet"]),
    ):
        with refused(path, protocol.name, "--protocol miniseg-code"):
            check_preprocessing("miniseg-83k", released_state, path, protocol)


def test_weights_of_our_own_training_fit_any_protocol(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    own = create_model("miniseg-83k").state_dict()
    for name in ("identical", "smoke", "miniseg-code"):
        check_preprocessing("miniseg-83k", own, path, load_protocol(name))
        check_preprocessing("unet", {}, path, load_protocol(name))
