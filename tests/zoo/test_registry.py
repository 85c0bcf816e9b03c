from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from torch import nn

from zoo import registry
from zoo.cards import Card
from zoo.errors import CovbenchError
from zoo.registry import (
    cards,
    create_model,
    find,
    get_card,
    missing_packages,
    patterns,
    register_model,
    register_pattern,
    registering,
)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_cards", cards())
    monkeypatch.setattr(registry, "_patterns", patterns())


def toy(in_channels: int, num_classes: int, *, width: int = 1) -> nn.Module:
    return nn.Conv2d(in_channels, num_classes, width)


def test_decorator_enters_the_builder_unchanged() -> None:
    assert register_model("toy", tags=["a", "b"], year=2026, unused=["x.*"])(toy) is toy
    card = get_card("toy")
    assert (card.builder, card.tags, card.year) == (toy, frozenset("ab"), 2026)
    assert (card.unused, card.source, card.module) == (("x.*",), "session", __name__)
    assert card.options == {"width": 1}


def test_create_model_passes_channels_classes_and_options() -> None:
    register_model("toy")(toy)
    model = create_model("toy", 1, 4, width=3)
    assert isinstance(model, nn.Conv2d)
    assert (model.in_channels, model.out_channels, model.kernel_size) == (1, 4, (3, 3))


def test_unknown_option_names_the_nearest() -> None:
    register_model("toy")(toy)
    with pytest.raises(CovbenchError, match=r"option of toy 'widht'.\nDid you mean width\?"):
        create_model("toy", widht=3)


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(CovbenchError, match=r"'miniseq'.\nDid you mean miniseg"):
        get_card("miniseq")


def test_a_session_network_may_be_registered_again() -> None:
    register_model("toy")(toy)
    register_model("toy")(partial(toy, width=5))
    assert get_card("toy").options == {"width": 5}


@pytest.mark.parametrize("source", ["session", "file", "entry point"])
def test_builtin_names_cant_be_overwritten(source: str) -> None:
    with (
        pytest.raises(CovbenchError, match=r"taken .*built-in"),
        registering(source, "x"),  # type: ignore[arg-type]
    ):
        register_model("smp:unet/resnet34")(toy)
    assert get_card("smp:unet/resnet34").source == "built-in"


def _python(code: str) -> str:
    """What a fresh Python prints, which has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_builtin_name_is_safe_before_the_zoo_is_imported() -> None:
    printed = _python("""
from torch import nn
from zoo.errors import CovbenchError
from zoo.registry import register_model
try:
    register_model("smp:unet/resnet34")(nn.Identity)
except CovbenchError as error:
    print(error)
""")
    assert "taken (source: built-in)" in printed


def test_a_network_module_imported_directly_is_still_built_in() -> None:
    printed = _python("""
import sys
import zoo.nets.smp
from zoo.registry import cards
assert cards()["smp:unet/resnet34"].source == "built-in"
print("segmentation_models_pytorch" in sys.modules, "timm" in sys.modules)
""")
    assert printed.strip() == "False False"


def test_two_plugins_cant_share_a_name() -> None:
    with registering("file", "a.py"):
        register_model("toy")(toy)
    with pytest.raises(CovbenchError, match="taken"), registering("file", "b.py"):
        register_model("toy")(toy)
    with pytest.raises(CovbenchError, match="taken"):
        register_model("toy")(toy)


def test_a_plugin_that_fails_leaves_nothing_behind() -> None:
    before = cards()
    with pytest.raises(ZeroDivisionError), registering("file", "a.py"):
        register_model("toy")(toy)
        _ = 1 / 0
    assert cards() == before
    register_model("toy")(toy)
    assert get_card("toy").source == "session"


@pytest.mark.parametrize("name", ["", "all", "@tag", "!x", "a,b", "a*", "a?", "a[b", "a b", "a=b"])
def test_names_that_no_selection_could_mean_are_refused(name: str) -> None:
    with pytest.raises(CovbenchError, match="can't be the name"):
        register_model(name)(toy)


@pytest.mark.parametrize(
    "builder",
    [
        lambda channels, classes: nn.Identity(),
        lambda in_channels, num_classes, width: nn.Identity(),
        lambda: nn.Identity(),
    ],
)
def test_builders_that_cant_be_called_are_refused(builder: object) -> None:
    with pytest.raises(CovbenchError, match="can't be called with in_channels"):
        register_model("toy")(builder)  # type: ignore[type-var]


def test_missing_package_says_what_to_install() -> None:
    register_model("toy", requires=("torch", "no-such-package"))(toy)
    assert missing_packages(get_card("toy")) == ["no-such-package"]
    with pytest.raises(CovbenchError, match=r"needs .*\npip install no-such-package$"):
        create_model("toy")


def test_a_package_known_by_another_import_name_counts_as_installed() -> None:
    register_model("toy", requires=("segmentation-models-pytorch", "pillow"))(toy)
    assert missing_packages(get_card("toy")) == []


def test_open_pattern_makes_a_card_on_demand() -> None:
    register_model("toy")(toy)
    card = get_card("toy")

    @register_pattern("wide:", "wide:<n>")
    def wide(name: str) -> Card:
        return Card(name, partial(toy, width=int(name[5:])), source="pattern")

    assert get_card("wide:7").options == {"width": 7}
    assert patterns()["wide:"].form == "wide:<n>"
    assert "wide:7" not in cards()
    assert find("toy") == [card]
