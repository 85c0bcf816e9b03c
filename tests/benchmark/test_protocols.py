"""Protocols: what ships, how a setting is changed, and what a user is told who got it wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.protocols import Protocol, list_protocols, load_protocol
from zoo.errors import CovbenchError


def refused(*arguments) -> CovbenchError:
    with pytest.raises(CovbenchError) as caught:
        load_protocol(*arguments)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def test_identical_holds_the_settings_that_the_design_fixes():
    p = load_protocol("identical")
    assert (p.input.size, p.input.normalise, p.input.statistics) == (512, "fold", "pooled")
    assert (p.augment.mode, p.augment.zoom) == ("zoom", (0.5, 1.5))
    assert (p.augment.hflip, p.augment.vflip) == (0.5, 0.5)
    assert (p.loss.name, p.loss.aux_weight, p.loss.class_weights) == ("cross-entropy", 0.4, "none")
    optim = p.optim
    assert (optim.lr, optim.weight_decay, optim.power) == (1e-3, 1e-4, 0.9)
    assert (optim.epochs, optim.batch, optim.drop_last, optim.max_steps) == (100, 5, True, None)
    assert (p.run.precision, p.run.select) == ("fp32", "last")
    assert (p.split.run_folds, p.split.seeds) == (None, (0,))
    assert (p.score.size, p.score.both_empty, p.score.pred_empty) == (
        "native",
        "undefined",
        "worst",
    )


def test_defaults_are_identical_so_that_a_file_names_only_what_differs():
    identical = load_protocol("identical")
    bare = Protocol(name="identical", description=identical.description)
    assert bare == identical


def test_shipped_protocols_are_listed_identical_first_and_none_reports_changes():
    shipped = list_protocols()
    names = [p.name for p in shipped]
    assert names[0] == "identical"
    assert {"miniseg-paper", "miniseg-code", "smoke"} <= set(names)
    assert all(p.changes == [] and p.description for p in shipped)
    assert len({str(p.canonical()) for p in shipped}) == len(shipped)


def test_released_code_keeps_each_of_its_quirks():
    p = load_protocol("miniseg-code")
    assert p.augment.sizes == (1.5, 1.25, 0.75, 1.0)
    assert p.augment.passes == "sequential"
    assert p.augment.border_crop_px == (50, 50, 16, 16)
    assert (p.augment.hflip, p.augment.vflip) == (0.0, 0.5)
    assert p.input.statistics == "per-image-average"
    assert (p.loss.class_weights, p.optim.epochs) == ("miniseg", 80)
    assert (p.score.size, p.score.pred_empty, p.score.surface_points) == (
        512,
        "zero-all",
        "foreground",
    )


def test_paper_draws_five_splits_and_five_sizes():
    p = load_protocol("miniseg-paper")
    assert (p.split.kind, p.split.train_fraction, p.split.draws) == ("random", 0.6, 5)
    assert p.augment.sizes == (0.5, 0.75, 1.0, 1.25, 1.5)
    assert (p.augment.passes, p.loss.class_weights) == ("random", "none")


def test_chsnet_reads_the_paper_with_every_choice_named():
    p = load_protocol("chsnet-paper")
    assert (p.input.size, p.input.channels, p.input.outputs) == (256, 1, "sigmoid")
    assert (p.loss.name, p.loss.bce, p.loss.dice) == ("bce-dice", "mean", "batch")
    assert (p.optim.name, p.optim.lr, p.optim.schedule) == ("adam", 1e-3, "constant")
    assert (p.optim.weight_decay, p.augment.mode) == (0.0, "none")
    assert (p.stop.early, p.stop.validation, p.stop.metric) == (True, 0.1, "loss")
    assert p.run.select == "best-on-validation"
    assert (p.split.kind, p.split.train_fraction) == ("random", 0.7)
    assert (p.split.test_by, p.split.balance) == ("source", "sources")


def test_smoke_is_one_short_run():
    p = load_protocol("smoke")
    assert (p.input.size, p.optim.batch, p.optim.max_steps) == (64, 4, 16)
    assert (p.split.run_folds, p.split.seeds, p.run.keep) == ((1,), (0,), "predictions")


@pytest.mark.parametrize(
    ("text", "section", "field", "value"),
    [
        ("epochs=30", "optim", "epochs", 30),
        ("optim.lr = 5e-4", "optim", "lr", 5e-4),
        ("size=128", "input", "size", 128),
        ("score.size=256", "score", "size", 256),
        ("zoom=[0.8, 1.2]", "augment", "zoom", (0.8, 1.2)),
        ("zoom=0.8,1.2", "augment", "zoom", (0.8, 1.2)),
        ("hflip=.25", "augment", "hflip", 0.25),
        ("vflip=0", "augment", "vflip", 0.0),
        ("drop_last=false", "optim", "drop_last", False),
        ("normalise=unit", "input", "normalise", "unit"),
        ('normalise="unit"', "input", "normalise", "unit"),
        ("run_folds=3", "split", "run_folds", (3,)),
        ("seeds=0,1,2", "split", "seeds", (0, 1, 2)),
        ("max_steps=none", "optim", "max_steps", None),
    ],
)
def test_a_setting_is_changed_by_full_or_bare_key(text, section, field, value):
    changed = load_protocol("smoke", [text])
    assert getattr(getattr(changed, section), field) == value
    rest = changed.model_dump(exclude={section: {field}})
    assert rest == load_protocol("smoke").model_dump(exclude={section: {field}})


def test_overrides_may_be_a_mapping_with_values():
    changed = load_protocol("identical", {"batch": 2, "optim.lr": "0.01", "seeds": [4, 5]})
    assert (changed.optim.batch, changed.optim.lr, changed.split.seeds) == (2, 0.01, (4, 5))


def test_changes_name_what_differs_from_the_shipped_one_and_only_what_matters():
    changed = load_protocol("identical", ["epochs=30", "batch=5", "keep=none", "seeds=1"])
    assert changed.name == "identical"
    assert changed.changes == ["optim.epochs=30"]


COMBINED = (
    "epochs=7 lr=0.02 mode=none zoom=0.9,1.1 precision=bf16 vflip=0.1 max_steps=9 "
    "max_steps=none normalise=unit score.size=64 compile=true power=1 channels=1 early=true "
    "patience=3 optim.name=sgd nesterov=true schedule=constant dice=image balance=sources"
)


@given(
    st.lists(
        st.sampled_from(COMBINED.split()),
        unique=True,
    ),
    st.sampled_from(["identical", "chsnet-paper", "miniseg-code", "miniseg-paper", "smoke"]),
)
def test_changes_are_overrides_that_give_the_same_protocol(overrides, name):
    changed = load_protocol(name, overrides)
    again = load_protocol(name, changed.changes)
    assert again.canonical() == changed.canonical()
    assert (changed.changes == []) == (changed.canonical() == load_protocol(name).canonical())


def test_canonical_fills_defaults_and_ignores_names_paths_and_housekeeping(tmp_path: Path):
    file = tmp_path / "short.toml"
    file.write_text("[optim]\nepochs = 100\n")
    own = load_protocol(file)
    assert own.name == "short"
    assert own.canonical() == load_protocol("identical").canonical()
    same = [
        "keep=none",
        "checkpoint_every=2 epochs",
        "out_of_memory=accumulate",
        "run_folds=2",
        "seeds=7",
        "statistics=pooled",
    ]
    assert load_protocol(file, same).canonical() == own.canonical()


SINGLE = (
    "size=256 normalise=unit statistics=per-image-average outputs=sigmoid mode=none zoom=1,1 "
    "hflip=0 vflip=0 aux_weight=0 class_weights=miniseg lr=0.1 power=1 weight_decay=0 "
    "betas=0.8,0.9 epochs=1 max_steps=5 batch=6 drop_last=false precision=tf32 "
    "channels_last=true compile=true kind=random split.seed=1 split.folds=4 score.size=512 "
    "both_empty=perfect pred_empty=zero-all surface_points=foreground loss.name=bce-dice "
    "channels=1 optim.name=sgd schedule=constant early=true balance=sources"
)


@pytest.mark.parametrize("text", SINGLE.split())
def test_canonical_changes_with_every_setting_that_changes_a_number(text):
    assert load_protocol("identical", [text]).canonical() != load_protocol("identical").canonical()


READINGS = (
    "channels=3 bce=sum dice=image loss.name=cross-entropy momentum=0.5 nesterov=true "
    "optim.name=sgd betas=0.8,0.9 schedule=poly validation=0.2 validation_by=group patience=5 "
    "min_delta=0.01 test_by=all balance=none"
)


@pytest.mark.parametrize("text", READINGS.split())
def test_every_reading_of_the_chsnet_paper_is_another_protocol(text):
    sgd = ["optim.name=sgd"] if text.startswith(("momentum", "nesterov")) else []
    base = load_protocol("chsnet-paper", sgd)
    assert load_protocol("chsnet-paper", [*sgd, text]).canonical() != base.canonical()


CANONICAL = {
    "identical": "29183ccfe2780f467514adf717f85d0297855792c748158b0c76b9ec84fa149a",
    "miniseg-code": "aeccffec4e74e3f700a261dd015640d3f1b197bec5a4a8f430a694d1dfb3c137",
    "miniseg-paper": "272bb7ff21ec882792d4187240304d543feffdd3754db24102f8a023051a2b72",
    "smoke": "6e0026eb1f714eed67b1ed1fa72163cdb0ed2ea92cb25f75732575097728f713",
}


@pytest.mark.parametrize("name", CANONICAL)
def test_later_fields_are_no_part_of_what_was_there_before(name):
    text = json.dumps(load_protocol(name).canonical(), sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == CANONICAL[name]


def test_canonical_fills_up_to_the_same_protocol():
    for protocol in (*list_protocols(), load_protocol("chsnet-paper", ["bce=sum", "early=false",
                                                                      "select=last"])):  # fmt: skip
        again = Protocol.model_validate_json(
            json.dumps({**protocol.canonical(), "name": protocol.name})
        )
        assert again.canonical() == protocol.canonical()
        assert again.changes == protocol.changes


def test_settings_that_optimiser_loss_and_stopping_make_idle():
    same = ["momentum=0.5", "nesterov=true", "bce=sum", "dice=image", "patience=3",
            "validation=0.3", "test_by=source"]  # fmt: skip
    assert load_protocol("identical", same).canonical() == load_protocol("identical").canonical()
    sgd = load_protocol("identical", ["optim.name=sgd", "schedule=constant"])
    assert not {"betas", "power"} & set(sgd.canonical()["optim"])
    assert load_protocol("identical", ["optim.name=sgd"]).changes == ["optim.name=sgd"]


def test_what_a_shipped_protocol_switches_on_can_be_switched_off_and_is_told():
    off = load_protocol("chsnet-paper", ["early=false", "select=last", "channels=3"])
    assert off.changes == ["input.channels=3", "stop.early=false", "run.select=last"]
    assert "stop" not in off.canonical()


def test_canonical_leaves_out_settings_that_another_one_makes_idle():
    no_augmentation = load_protocol("identical", ["mode=none"]).canonical()
    assert no_augmentation["augment"] == {"mode": "none"}
    assert load_protocol("identical", ["mode=none", "hflip=0"]).canonical() == no_augmentation
    assert "statistics" not in load_protocol("identical", ["normalise=unit"]).canonical()["input"]
    assert "zoom" not in load_protocol("miniseg-code").canonical()["augment"]
    assert "draws" in load_protocol("miniseg-paper").canonical()["split"]


def test_a_protocol_survives_json():
    for protocol in list_protocols():
        assert Protocol.model_validate_json(protocol.model_dump_json()) == protocol
        assert Protocol.model_validate(protocol.model_dump(mode="json")) == protocol


def test_a_protocol_is_frozen():
    with pytest.raises(ValidationError):
        load_protocol("identical").optim.lr = 1.0


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        (("identicl",), "Unknown protocol 'identicl'", "Did you mean identical?"),
        (("identical", ["epoch=3"]), "'epoch'", "Did you mean epochs?"),
        (("identical", ["optim.epoch=3"]), "'optim.epoch'", "optim.epochs"),
        (("identical", ["name=adam"]), "more than one section", "loss.name or optim.name"),
        (("identical", ["epochs"]), "'epochs'", "key=value"),
        (("identical", ["lr=fast"]), 'optim.lr = "fast"', "must be a valid number"),
        (("identical", ["lr=-1"]), "optim.lr = -1", "greater than 0"),
        (("identical", ["lr=nan"]), "optim.lr = NaN", "finite"),
        (("identical", ["epochs=3.5"]), "optim.epochs = 3.5", "integer"),
        (("identical", ["epochs=true"]), "optim.epochs = true", "integer"),
        (("identical", ["mode=zom"]), 'augment.mode = "zom"', "'none', 'zoom' or 'sizes'"),
        (("identical", ["zoom=2,1"]), "augment.zoom = [2, 1]", "smaller one first"),
        (("identical", ["zoom=1"]), "augment.zoom = 1", "one more entry"),
        (("identical", ["score.size=x"]), 'score.size = "x"', "'native', or a valid integer"),
        (("identical", ["seeds=1,1"]), "split.seeds = [1, 1]", "none of them twice"),
        (("identical", ["mode=sizes"]), "augment.sizes is empty", "augment.sizes = ["),
        (("miniseg-code", ["sizes=1.0"]), "has 4 entries, not 1", "one maximum in pixels"),
        (("miniseg-code", ["size=64"]), "border_crop_px = 50", "a quarter"),
        (("identical", ["border_crop=0.5"]), "has 0 entries, not 1", "border_crop = 0"),
        (("miniseg-code", ["loss.name=bce-dice"]), "class_weights", 'class_weights = "none"'),
        (("identical", ["channels=2"]), "input.channels = 2", "1 or 3"),
        (("identical", ["optim.name=adamw"]), 'optim.name = "adamw"', "'adam' or 'sgd'"),
        (("identical", ["optim.name=sgd", "nesterov=true", "momentum=0"]), "momentum", "0.9"),
        (("identical", ["select=best-on-validation"]), "stop.early is false", "early = true"),
        (("identical", ["select=best"]), 'run.select = "best"', "'last' or 'best-on-validation'"),
        (("identical", ["validation=1"]), "stop.validation = 1", "less than 1"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(arguments, problem, remedy):
    error = refused(*arguments)
    assert problem in error.problem
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("[input]\nsize = \n", "own.toml, line 2", "valid TOML"),
        ("[input]\nsize = 64\n[input]\n", "own.toml, line 3", "valid TOML"),
        ("[input]\nsize = [1,", "own.toml, line 2", "valid TOML"),
        ("[optim]\nepoch = 3\n", "'optim.epoch'", "Did you mean optim.epochs"),
        ("epochs = 3\n", "'epochs'", "Did you mean optim.epochs"),
        ("[optimiser]\nlr = 1\n", "'optimiser'", "[optim]"),
        ("optim = 3\n", "optim = 3", "[optim]"),
        ("[optim]\nlr = 'x'\n", 'optim.lr = "x"', "number"),
        ("name = 3\n", "name = 3", "string"),
    ],
)
def test_a_wrong_file_is_named_with_its_line_or_key(tmp_path: Path, text, problem, remedy):
    file = tmp_path / "own.toml"
    file.write_text(text)
    error = refused(file)
    assert problem in error.problem
    assert "own.toml" in error.problem
    assert remedy in error.remedy


def test_an_unreadable_file_is_named(tmp_path: Path):
    assert "No such file" in refused(tmp_path / "gone.toml").problem
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    assert "UTF-8" in refused(latin).problem


@pytest.mark.parametrize("text", ["5", "0 epochs", "1.5 epochs", "-1 min", "5 hours", ""])
def test_how_often_a_checkpoint_is_written_is_a_number_with_its_unit(text: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        load_protocol("identical", {"run.checkpoint_every": text})
    assert '"5 epochs" or "5 min"' in caught.value.remedy


def test_the_old_name_of_the_interval_is_told_the_new_one() -> None:
    with pytest.raises(CovbenchError) as caught:
        load_protocol("identical", ["run.checkpoint_minutes=1"])
    assert "run.checkpoint_every" in caught.value.remedy
