"""`covbench predict`: a trained network on images of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options
from zoo.errors import CovbenchError, one_line, unknown

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from runners.predicting.facts import Facts, Overlays
    from runners.predicting.outputs import Target, Wish

Tell = Callable[[int, int], object]
_OVERLAYS: tuple[Overlays, ...] = ("some", "all", "none")


def predict(
    run: Annotated[
        str, typer.Option(help="The run: its id (6 digits or more), its folder, or its title.")
    ],
    input_: Annotated[
        Path,
        typer.Option(
            "--input", "-i", help="PNG, JPEG, TIFF, NIfTI, a DICOM folder, or a folder of these."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of what is written.")],
    from_: Annotated[Path, typer.Option("--from", help="The folder of the records.")] = Path(
        "runs"
    ),
    lung_run: Annotated[
        str | None,
        typer.Option(
            help="A run of the task lung, for the involvement by lung.", show_default=False
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="Values that become black and white, as -1250,250; by default those of training. "
            "Images of 0..255 are taken as they are.",
            show_default=False,
        ),
    ] = None,
    overlays: Annotated[
        str, typer.Option(help="Slices drawn as PNG: some (that hold prediction), all, none.")
    ] = "some",
    seg: Annotated[
        bool,
        typer.Option(
            help="Of a DICOM series also write a DICOM segmentation (SEG), which names the patient "
            "as the series does.",
        ),
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:1; a GPU where there is one.")
    ] = None,
    plugin: options.Plugin = None,
    force: Annotated[bool, typer.Option(help="Write over what lies in --out.")] = False,
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Write masks of images, in each image's own geometry; no medical device.

    Images that this run has predicted into --out already are kept as they are.
    """
    from benchmark.datasets.inputs import find_scans, kind_of
    from results.find import find_run
    from runners.predicting.chain import build_chain
    from runners.predicting.outputs import Wish, targets_of
    from runners.predicting.table import write_table
    from runners.trial import load_named

    levels = _window(window)
    drawn = _overlays(overlays)
    paths = find_scans(input_, without=out)
    if seg and not any(kind_of(path) == "dicom" for path in paths):
        raise CovbenchError(
            f"--seg is for DICOM series, and {input_} holds none.", "Leave --seg out."
        )
    found = find_run(from_, run)
    lungs = find_run(from_, lung_run) if lung_run is not None else None
    load_named(plugin or ())
    chain = build_chain(found, _device(device), lungs)
    # Two networks may have been trained in two windows: then the user must say which to take.
    wish = Wish(chain, levels or chain.window, levels, drawn, seg)
    options.check_writable(out)
    targets = targets_of(paths, input_, out)
    kept = {} if force else _kept(targets, wish)
    console = options.messages()
    for each in chain.predictors:
        if each.changed:
            _say(console, f"The source of {each.card.name} has changed since it was trained.")
    if chain.lungs is None and not chain.only_lungs:
        _say(console, "No lungs are known: --lung-run gives the involvement by lung.")

    shown: list[dict[str, Any]] = []
    with _progress(console, len(targets)) as begin_image:
        for number, target in enumerate(targets, start=1):
            try:
                tell = begin_image(number, target.path)
                facts = kept.get(target.path) or _make(target, wish, tell)
            except CovbenchError as error:
                shown.append(_failed(target, error))
                _say(console, f"[{number}/{len(targets)}] {error.problem}\n  {error.remedy}")
                continue
            state = "kept" if target.path in kept else "done"
            shown.append(_as_dict(target, facts, state))
            if not as_json:
                _print(number, len(targets), target, facts, state)
    table = write_table(out)
    if as_json:
        options.print_json(shown)
    else:
        print(f"Written: {table}")
    failed = sum(each["status"] == "failed" for each in shown)
    if failed:
        _say(console, f"{failed} of {len(targets)} images could not be predicted; see above.")
    return 2 if failed else 0


def _kept(targets: list[Target], wish: Wish) -> dict[Path, Facts]:
    """What earlier calls have done already; other results in the way are refused at once."""
    from runners.predicting.outputs import begin, finished

    found = {
        target.path: finished(target, begin(target, wish))
        for target in targets
        if any(each.exists() for each in (target.mask, target.lung_mask, target.seg, target.facts))
    }
    return {path: facts for path, facts in found.items() if facts is not None}


def _make(target: Target, wish: Wish, tell: Tell) -> Facts:
    from runners.predicting.outputs import begin, make

    try:
        return make(target, begin(target, wish), wish.chain, tell)
    except CovbenchError as error:  # the readers speak of another command's option
        remedy = error.remedy.replace("--option window=", "--window ")
        raise CovbenchError(error.problem, remedy) from error
    except MemoryError as error:
        raise CovbenchError(
            f"{target.path} does not fit into memory.", "Crop it, or free some memory."
        ) from error


def _window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(","))
        if not -1e9 < low < high < 1e9:
            raise ValueError
    except ValueError:
        raise CovbenchError(
            f"--window {text!r} is no window.", "Write the lower value first: --window=-1250,250"
        ) from None
    return low, high


def _overlays(word: str) -> Overlays:
    for known in _OVERLAYS:
        if word == known:
            return known
    raise unknown("choice of --overlays", word, _OVERLAYS, ", ".join(_OVERLAYS))


def _device(word: str | None) -> torch.device:
    import torch

    if word is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(word)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise CovbenchError(f"There is no device {word!r}.", "Write cpu, cuda or cuda:1.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CovbenchError(
            f"There is no GPU {word!r}: this machine has {torch.cuda.device_count()}.",
            "Leave --device out, or write --device cpu.",
        )
    return device


@contextmanager
def _progress(console: Console, count: int) -> Iterator[Callable[[int, Path], Tell]]:
    """What shows how far it is: bars in a terminal, now and then a line elsewhere."""
    from rich.progress import Progress

    from runners.display import Seldom

    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            images = bar.add_task("images", total=count)
            slices = bar.add_task("slices")

            def begin(number: int, path: Path) -> Tell:
                bar.update(images, completed=number - 1)
                bar.reset(slices, description=path.name)
                return lambda done, total: bar.update(slices, completed=done, total=total)

            yield begin
        return
    seldom = Seldom(partial(_say, console))
    yield (
        lambda number, path: (
            lambda done, total: seldom(
                lambda: f"[{number}/{count}] {path.name}: {done} of {total} slices"
            )
        )
    )


def _say(console: Console, text: str) -> None:
    console.print(
        "\n".join(map(one_line, text.split("\n"))), markup=False, highlight=False, soft_wrap=True
    )


def _print(number: int, count: int, target: Target, facts: Facts, state: str) -> None:
    from runners.predicting.table import in_words

    low, high = facts.window
    grey = "" if facts.window == (0.0, 255.0) else f" [window {low:g}..{high:g}]"
    already = " (was there already)" if state == "kept" else ""
    line = (
        f"[{number}/{count}] {target.path.name}: {in_words(facts)}{grey} -> {target.mask}{already}"
    )
    print(one_line(line))


def _as_dict(target: Target, facts: Facts, state: str) -> dict[str, Any]:
    from runners.predicting.table import rows_of

    return {
        "input": str(target.path),
        "status": state,
        "mask": str(target.mask),
        **({"seg": str(target.seg)} if facts.seg_file else {}),
        "window": list(facts.window),
        "slices": facts.slices,
        "voxel_ml": facts.voxel_ml,
        "involvement": [
            {key: value for key, value in row.items() if key != "input"} for row in rows_of(facts)
        ],
    }


def _failed(target: Target, error: CovbenchError) -> dict[str, Any]:
    return {
        "input": str(target.path),
        "status": "failed",
        "problem": error.problem,
        "remedy": error.remedy,
    }
