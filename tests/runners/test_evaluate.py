"""Evaluation: from logits to decisions, at which size, without ignored pixels; its two files."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.bank import ImageBank
from benchmark.datasets import PreparedDataset, prepare_dataset
from benchmark.metrics import aggregate
from benchmark.metrics.sources import aggregate_sources
from benchmark.protocols import Protocol, load_protocol
from results.contents import check_cases
from runners.evaluate import (
    Evaluation,
    Prediction,
    Scored,
    cases_csv,
    evaluate,
    predict,
    write_predictions,
)
from tests.runners.known import CARD, SCALE, SIZE, Known, slices
from zoo.cards import Card


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return slices(tmp_path)


def protocol(*changes: str) -> Protocol:
    return load_protocol("smoke", [f"size={SIZE}", "normalise=unit", "batch=2", *changes])


def score(dataset: PreparedDataset, classes: int = 2, *changes: str) -> Evaluation:
    everything = range(len(dataset))
    device = torch.device("cpu")
    return evaluate(Known(classes), CARD, dataset, everything, protocol(*changes), SCALE, device)


def infection(outcome: Evaluation) -> Scored:
    """The one target of a binary dataset."""
    assert list(outcome.targets) == ["infection"]
    return outcome.targets["infection"]


def guesses(dataset: PreparedDataset, classes: int, *changes: str) -> list[Prediction]:
    bank = ImageBank.of(dataset, SIZE, range(len(dataset)))
    sizes = [(case.height, case.width) for case in dataset.cases]
    return list(predict(Known(classes), CARD, bank, sizes, protocol(*changes), SCALE))


# --- from logits to decisions ------------------------------------------------------------------


def test_argmax_of_two_and_threshold_of_one_decide_alike(dataset: PreparedDataset) -> None:
    softmax, sigmoid, three = (guesses(dataset, classes) for classes in (2, 1, 3))
    assert [guess.position for guess in softmax] == [0, 1, 2]
    for one, other, third, case in zip(softmax, sigmoid, three, dataset.cases, strict=True):
        assert one.mask.shape == one.probability.shape == (case.height, case.width)
        assert one.mask.dtype == one.probability.dtype == np.uint8
        assert set(np.unique(one.mask)) == {0, 1}
        assert np.array_equal(one.mask, other.mask)
        assert np.array_equal(one.mask, third.mask)
        assert np.abs(one.probability.astype(int) - other.probability).max() <= 1


def test_logits_are_resized_and_not_masks(dataset: PreparedDataset) -> None:
    images, _ = dataset.at_size(SIZE)
    for guess in guesses(dataset, 1):
        small = 20 * (torch.from_numpy(images[guess.position].astype(np.float32)) / 255 - 0.5)
        logits = functional.interpolate(
            small[None, None], size=guess.mask.shape, mode="bilinear", align_corners=False
        )[0, 0].numpy()
        clear = np.abs(logits) > 1e-3
        assert np.array_equal(guess.mask[clear] == 1, logits[clear] > 0)
        probability = 255 / (1 + np.exp(-logits.astype(np.float64)))
        assert np.abs(guess.probability - probability).max() <= 0.51
        nearest = functional.interpolate((small > 0).float()[None, None], size=guess.mask.shape)
        assert (guess.mask != nearest[0, 0].numpy()).any()


def test_the_mask_names_the_class(dataset: PreparedDataset) -> None:
    class Third(Known):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, [0, 2, 1]]  # the last channel is the likely one

    bank = ImageBank.of(dataset, SIZE, [0])
    (guess,) = predict(Third(3), CARD, bank, [(SIZE, SIZE)], protocol(), SCALE)
    images, _ = dataset.at_size(SIZE)
    assert np.array_equal(guess.mask, 2 * (images[0] > 127))


def test_it_pads_to_what_the_card_accepts(dataset: PreparedDataset) -> None:
    seen = []

    class Watching(Known):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(tuple(x.shape[-2:]))
            return super().forward(x)

    card = Card(name="padded", builder=nn.Identity, divisor=48, min_size=1)
    bank = ImageBank.of(dataset, SIZE, range(3))
    sizes = [(SIZE, SIZE)] * 3
    padded = list(predict(Watching(2), card, bank, sizes, protocol(), SCALE))
    plain = list(predict(Known(2), CARD, bank, sizes, protocol(), SCALE))
    assert seen == [(48, 48), (48, 48)]  # batches of two and one
    for one, other in zip(padded, plain, strict=True):
        assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_ends_it(value: float, dataset: PreparedDataset) -> None:
    class Broken(Known):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            out[-1, 0, 3, 3] = value
            return out

    with pytest.raises(FloatingPointError, match="not finite"):
        evaluate(Broken(2), CARD, dataset, [0, 1], protocol(), SCALE, torch.device("cpu"))


# --- where it is scored ------------------------------------------------------------------------


def test_scored_at_the_images_own_size_or_at_one_size(dataset: PreparedDataset) -> None:
    native, stretched = score(dataset), score(dataset, 2, "score.size=24")
    own, square = infection(native), infection(stretched)
    for row, case in zip(own.rows, dataset.cases, strict=True):
        assert sum(row[key] for key in ("tp", "fp", "fn", "tn")) == case.height * case.width
        assert native.predictions[case.id].shape == (case.height, case.width)
    _, masks = dataset.at_size(24)
    for row, mask in zip(square.rows, masks, strict=True):
        assert row["tp"] + row["fn"] == (mask == 1).sum()
        assert row["fp"] + row["tn"] == (mask == 0).sum()
        assert stretched.predictions[str(row["id"])].shape == (24, 24)
    assert own.counts.tp == sum(int(row["tp"]) for row in own.rows)
    assert own.counts.tp + own.counts.fn == sum(dataset.foreground)


def test_a_network_that_sees_the_truth_is_perfect(tmp_path: Path) -> None:
    from PIL import Image

    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[3:9, 2:7] = 255
    for kind in ("images", "masks"):
        (tmp_path / "source" / kind).mkdir(parents=True)
        for i, array in enumerate([mask, mask.T, np.zeros_like(mask)]):
            Image.fromarray(array).save(tmp_path / "source" / kind / f"{i}.png")
    made = prepare_dataset("folder", tmp_path / "source", as_name="truth", root=tmp_path / "data")
    outcome = infection(score(made))
    values = {key: score.value for key, score in outcome.scores.items()}
    assert values["dice_pooled"] == values["miou_pooled"] == values["dice_slice"] == 1
    assert values["hausdorff_slice_px"] == 0
    assert outcome.scores["dice_slice"].undefined == 1  # the slice where both are empty
    assert outcome.counts.model_dump() == {"tp": 60, "fp": 0, "fn": 0, "tn": 3 * 256 - 60}


def test_ignored_pixels_do_not_count(dataset: PreparedDataset) -> None:
    class Ignoring:
        """The dataset, with the label 255 wherever the prediction is wrong."""

        cases = dataset.cases
        classes = dataset.classes
        planes = dataset.planes

        def __len__(self) -> int:
            return len(self.cases)

        def mask(self, i: int) -> np.ndarray:
            return np.where(wrong[i], np.uint8(255), dataset.mask(i))

        def at_size(self, size: int) -> tuple[np.ndarray, np.ndarray]:
            return dataset.at_size(size)

    wrong = [guess.mask != dataset.mask(guess.position) for guess in guesses(dataset, 2)]
    assert all(bad.any() for bad in wrong)
    outcome = infection(score(Ignoring()))  # type: ignore[arg-type]
    before = infection(score(dataset))
    assert outcome.counts.fp == outcome.counts.fn == 0
    assert (outcome.counts.tp, outcome.counts.tn) == (before.counts.tp, before.counts.tn)
    assert outcome.scores["dice_pooled"].value == 1


# --- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize("spaced", [False, True], ids=["pixels", "partly-mm"])
def test_the_table_of_cases_gives_the_scores_back(spaced: bool, tmp_path: Path) -> None:
    dataset = slices(tmp_path, spaced)
    outcome = infection(score(dataset))
    text = cases_csv(outcome.rows)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == [case.id for case in dataset.cases]
    assert ("hausdorff_mm" in rows[0]) == spaced == ("hausdorff_slice_mm" in outcome.scores)
    assert "nan" not in text
    # The last slice has no foreground in truth, so its sensitivity is 0/0.
    assert rows[-1]["sensitivity"] == ""
    groups = [row["group"] for row in rows]
    assert aggregate(rows, groups, protocol().score) == outcome.scores


def test_predictions_are_read_back(dataset: PreparedDataset) -> None:
    outcome, file = score(dataset), io.BytesIO()
    write_predictions(file, outcome.predictions)
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        assert set(found.files) == {"ids", "p0", "p1", "p2"}
        assert found["ids"].tolist() == [case.id for case in dataset.cases]
        for number, case in enumerate(dataset.cases):
            probability = found[f"p{number}"]
            assert probability.dtype == np.uint8
            assert np.array_equal(probability, outcome.predictions[case.id])
            assert probability.shape == (case.height, case.width)


# --- sources -----------------------------------------------------------------------------------


def test_rows_name_their_source_where_the_dataset_has_several(dataset: PreparedDataset) -> None:
    alone = infection(score(dataset)).rows
    assert "source" not in alone[0] and aggregate_sources(alone, protocol().score) == {}
    dataset.cases = tuple(
        replace(case, source=f"from-{k % 2}") for k, case in enumerate(dataset.cases)
    )
    text = cases_csv(infection(score(dataset)).rows)
    assert text.startswith("id,group,source,")
    assert check_cases(text.encode()) == 3
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["source"] for line in lines] == ["from-0", "from-1", "from-0"]
    rule = protocol().score
    by_source = aggregate_sources(lines, rule)
    assert list(by_source) == ["from-0", "from-1"]
    pair = [lines[0], lines[2]]
    assert by_source["from-0"] == aggregate(pair, [line["group"] for line in pair], rule)
    assert by_source["from-1"]["dice_slice"].value == float(lines[1]["dice"])
