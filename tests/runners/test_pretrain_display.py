"""What is shown of pretrainings: a line for each epoch, or bars on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from benchmark.pretraining import load_recipe
from runners.pretraining.display import CheckDisplay, PretrainDisplay
from runners.pretraining.job import PretrainJob, PretrainSpec
from runners.progress import Progress


def job() -> PretrainJob:
    recipe = load_recipe("imagenet")
    spec = PretrainSpec(
        model="miniseg",
        options={"strict": True},
        encoder="encoder",
        source="a",
        recipe=recipe.name,
        settings=recipe.canonical(),
        data_hash="b",
    )
    return PretrainJob(spec=spec, recipe=recipe, data=Path("in"), listing="c", out=Path("out"))


def shown(terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=160)
    with PretrainDisplay(console) as display:
        display.running(job(), None)
        display.running(job(), Progress("preparing"))
        display.running(job(), Progress("epoch 1 of 2", 1, 20, 0.75))
        display.running(job(), Progress("epoch 1 of 2", 9, 20, 0.5))
        display.running(job(), Progress("epoch 2 of 2, top-1 50.0% after 1", 11, 20))
        display._progress.refresh()
        display.failed(job(), "killed: the worker was ended by SIGKILL.", "Do this.")
    return text.getvalue()


def test_a_line_for_each_epoch() -> None:
    first, second, *rest = shown(terminal=False).splitlines()
    assert first == "miniseg[strict=true]  epoch 1 of 2, loss 0.750"
    assert second.startswith("miniseg[strict=true]  epoch 2 of 2, top-1 50.0% after 1  about ")
    assert second.endswith(" left")
    assert rest == [
        "failed  miniseg[strict=true]  killed: the worker was ended by SIGKILL.",
        "        Do this.",
    ]


def test_bars_on_a_terminal() -> None:
    text = shown(terminal=True)
    assert "11/20" in text and "top-1 50.0% after 1" in text and "━" in text


def test_the_check_says_what_it_reads() -> None:
    text = io.StringIO()
    with CheckDisplay(Console(file=text, force_terminal=False, width=160)) as display:
        display(1, 1_331_167)
        display(2, 1_331_167)
    assert text.getvalue() == "Reading 1,331,167 images once, to find damaged ones ...\n"


def test_the_id_is_of_what_changes_the_encoder() -> None:
    spec = job().spec
    assert spec.model_copy(update={"recipe": "mine"}).id == spec.id
    other = spec.model_copy(update={"data_hash": "d", "settings": {"optim": {"epochs": 3}}})
    assert other.id != spec.id
    assert spec.differences(other) == ["the images", "optim.epochs=3"]
    assert job().folder == Path("out/miniseg-strict=true")
