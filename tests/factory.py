"""Records, failures and specs made by hand, for tests of the store and the reports."""

from __future__ import annotations

from typing import Any

from benchmark.metrics import METRICS, Score
from benchmark.protocols import load_protocol
from results.record import Code, Data, Environment, Failure, RunRecord, Training
from results.spec import RunSpec

SMOKE = load_protocol("smoke")


def make_spec(model: str = "unet", **changes: Any) -> RunSpec:
    """A spec on the phantom under `smoke`."""
    fold = changes.get("fold", 1)
    fields: dict[str, Any] = {
        "model": model,
        "dataset": "phantom",
        "data_hash": "d" * 64,
        "fold": fold,
        "fold_hash": f"{fold}" * 64,
        "protocol": "smoke",
        "settings": SMOKE.canonical(),
        "seed": 0,
        "source": "5" * 64,
    }
    return RunSpec(**{**fields, **changes})


def make_score(key: str, value: float | None, **changes: Any) -> Score:
    """A score by its key, over ten images."""
    metric = METRICS[key]
    fields: dict[str, Any] = {
        "value": value,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "aggregation": metric.aggregation,
        "n": 10,
        "undefined": 0,
        "penalised": 0,
    }
    return Score(**{**fields, **changes})


def make_scores(dice: float | None, **changes: float | None) -> dict[str, Score]:
    """The scores that a leaderboard shows; all follow from Dice unless they are given."""
    values: dict[str, float | None] = {
        "miou_pooled": dice,
        "sensitivity_slice": dice,
        "specificity_slice": 0.95,
        "dice_slice": dice,
        "hausdorff_slice_px": 80.0,
        "hd95_slice_px": 40.0,
        "dice_patient": dice,
        **changes,
    }
    return {key: make_score(key, value) for key, value in values.items()}


def make_record(
    model: str = "unet",
    dice: float | None = 0.7,
    *,
    scores: dict[str, Score] | None = None,
    params: int = 1000,
    data: dict[str, Any] | None = None,
    env: dict[str, Any] | None = None,
    code: dict[str, Any] | None = None,
    **spec: Any,
) -> RunRecord:
    """The record of a run on ten images."""
    made = make_spec(model, **spec)
    fields: dict[str, Any] = {
        "spec": made,
        "started": "2026-11-22T10:00:00+00:00",
        "finished": "2026-11-22T10:01:00+00:00",
        "code": Code(
            **{
                "version": "1.0",
                "git_commit": "abcdef0123",
                "git_dirty": False,
                "network_class": "zoo.nets.unet.UNet",
                **(code or {}),
            }
        ),
        "env": Environment(
            **{
                "python": "3.11",
                "platform": "Linux",
                "cpu": "Some CPU",
                "threads": 1,
                "packages": {"torch": "2.15"},
                "device": "cpu",
                "cuda": None,
                "driver": None,
                "deterministic": True,
                **(env or {}),
            }
        ),
        "data": Data(
            **{
                "manifest_hash": made.data_hash,
                "fold_hash": made.fold_hash,
                "n_train": 40,
                "n_test": 10,
                "groups_disjoint": True,
                "shared_groups": (),
                "mean": (0.5,),
                "std": (0.2,),
                **(data or {}),
            }
        ),
        "training": Training(
            epochs=1,
            steps=16,
            selection="last",
            seconds=1.5,
            resumed=0,
            peak_memory_bytes=1,
            curve=(0.7,),
        ),
        "scores": {"infection": make_scores(dice) if scores is None else scores},
        "counts": {"infection": {"tp": 1, "fp": 2, "fn": 3, "tn": 4}},
        "cost": {
            "params": params,
            "params_trainable": params,
            "macs": {"flop_counter_mode": 2_270_000_000},
            "input_size": (3, 512, 512),
        },
        "evaluation_seconds": 0.5,
    }
    return RunRecord(**fields)


def make_failure(
    model: str = "unet", status: str = "out of memory", attempt: int = 1, **spec: Any
) -> Failure:
    """The account of a failed attempt."""
    return Failure(
        spec=make_spec(model, **spec),
        attempt=attempt,
        status=status,  # type: ignore[arg-type]
        exception="torch.OutOfMemoryError: no room",
        hint="Take a smaller batch.",
        log_tail="",
        time="2026-11-22T10:00:00+00:00",
    )
