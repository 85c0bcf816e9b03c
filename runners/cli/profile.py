"""`covbench profile`: what networks cost, and how fast they run on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runners.cli import options
from zoo.errors import CovbenchError, unknown

if TYPE_CHECKING:
    from benchmark.speed.ways import Setting
    from results.machines import MachineProfile
    from results.published import PublishedTable
    from runners.profiling.targets import Settings, Target

_SPEEDS = ("quick", "full")
_PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_FORMATS = ("json", "md", "tex", "csv", "png", "pdf", "svg")


def profile(
    selection: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECTION",
            help="Networks, as after --models; NAME:encoder is an encoder alone.",
            show_default=False,
        ),
    ] = None,
    models: options.Models = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda or cuda:1; the GPU by default, where there is one."),
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Height and width of the image.")] = 512,
    cost_only: Annotated[
        bool, typer.Option("--cost-only", help="Count, but time nothing.")
    ] = False,
    speed: Annotated[
        str | None,
        typer.Option(
            help="quick: one image, one round, at most 20 s a network; full: every way, three "
            "rounds. By default quick on a CPU, full on a GPU."
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Processes in which each network is timed.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="The longest that a network may take in a round and way: 20, full 60."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads, each on a core.")] = 1,
    precision: Annotated[str, typer.Option(help="fp32, tf32, bf16 or fp16.")] = "fp32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Keep channels last in memory.")
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Run what torch.compile makes of the network.")
    ] = False,
    reference: Annotated[
        str, typer.Option(help="Network that begins and ends every round.")
    ] = "miniseg",
    layers: Annotated[
        bool, typer.Option("--layers", help="Show one network layer by layer instead.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, help="Levels that --layers shows.")] = 3,
    against: Annotated[
        str | None,
        typer.Option(help="Set another machine beside (h200, profile.json), or miniseg-table3."),
    ] = None,
    among: Annotated[
        str | None,
        typer.Option(
            help="Say where each network falls among those of a profile: its .json or its machine."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for profile.json, tables and figures.")
    ] = None,
    formats: Annotated[
        str, typer.Option(help=f"Which files to write there: {','.join(_FORMATS)}.")
    ] = ",".join(_FORMATS),
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Measure parameters, multiply-adds, memory and speed of networks."""
    wanted = _formats(formats)
    words = [*(selection or []), *(models or [])]
    if not words:
        raise CovbenchError("Which networks?", "Give some, such as: covbench profile all")
    if to is not None:
        options.check_writable(to)
    from runners.profiling.targets import choose_targets

    targets = choose_targets(words)
    if layers:
        return _layers(targets, size, depth, to, as_json)
    beside = _beside(against, among)
    settings = _settings(
        device,
        size,
        None if cost_only else speed or "",
        rounds,
        seconds=seconds,
        threads=threads,
        setting=_setting(precision, channels_last, compiled),
        reference=reference,
    )
    from runners.profiling.display import ProfileDisplay
    from runners.profiling.drive import profile as measure

    with ProfileDisplay(options.messages()) as display:
        try:
            found = measure(targets, settings, display)
        except KeyboardInterrupt:
            display.say("Interrupted before anything was timed; nothing is written.")
            return 130
    from reports.profiles.files import profile_objects, profile_report, write_profile_report

    report = profile_report(found, beside.machine, beside.published)
    if as_json:
        options.print_json(profile_objects(found))
    else:
        options.print_tables(report.tables)
        _print_positions(found, targets, beside.among)
    if to is not None:
        names = ", ".join(map(str, write_profile_report(report, to, wanted)))
        options.messages().print(f"Written: {names}", highlight=False, soft_wrap=True)
    return 2 if any(each.error for each in found.networks) else 0


def _formats(text: str) -> tuple[str, ...]:
    wanted = options.split_commas([text])
    for each in wanted:
        if each not in _FORMATS:
            raise unknown("format", each, _FORMATS, ", ".join(_FORMATS))
    return tuple(wanted)


def _print_positions(
    found: MachineProfile, targets: Sequence[Target], among: MachineProfile | None
) -> None:
    """Where networks stand among others: the user's own always, all of them where it is asked."""
    from reports.profiles.pareto import position
    from results.machines import newest_profile
    from zoo.registry import cards

    others = among or newest_profile(found.machine)
    for target in targets:
        network = found.network(target.label)
        if network is None or network.cost is None or not (target.plugin or among):
            continue
        print()
        if others is not None:
            place = position(network, others, session=found)
        else:
            built_in = {n: card for n, card in cards().items() if card.source == "built-in"}
            place = position(network, built_in)
        print("\n".join(place.words()))


@dataclass(frozen=True)
class _Beside:
    """What the measured profile is set beside."""

    machine: MachineProfile | None = None
    published: PublishedTable | None = None
    among: MachineProfile | None = None


def _beside(against: str | None, among: str | None) -> _Beside:
    """Find what is asked for before anything is measured."""
    from results.machines import find_profile
    from results.published import published_names, published_table

    table = published_table(against) if against in published_names() else None
    if table is not None and "fps_titan_rtx" not in table.rows[0]:
        raise CovbenchError(
            f"{table.name} prints no speed.", "The one that does: --against miniseg-table3."
        )
    machine = find_profile(against) if against and table is None else None
    return _Beside(machine, table, find_profile(among) if among else None)


def _settings(
    device: str | None, size: int, speed: str | None, rounds: int | None, **further: Any
) -> Settings:
    """The settings, with the defaults of the device filled in.

    Args:
        device: What the user wrote; None for the GPU where there is one.
        size: Height and width.
        speed: `quick`, `full`, "" for the device's default, None for the cost alone.
        rounds: Rounds; None for the default of the speed.
        **further: Further fields of `Settings`.
    """
    import torch

    from runners.profiling.targets import Settings

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise CovbenchError(f"There is no device {device!r}.", "Write cpu, cuda or cuda:1.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise CovbenchError(
            f"There is no {device}: this machine has {torch.cuda.device_count()} GPUs.",
            "Write --device cpu, or leave it out.",
        )
    if speed == "":
        speed = "full" if kind == "cuda" else "quick"
    if speed not in (None, *_SPEEDS):
        raise unknown("speed", speed, _SPEEDS, ", ".join(_SPEEDS))
    default = 3 if speed == "full" else 1
    return Settings(device=device, size=size, speed=speed, rounds=rounds or default, **further)


def _setting(precision: str, channels_last: bool, compiled: bool) -> Setting:
    from benchmark.speed.ways import Setting

    if precision not in _PRECISIONS:
        raise unknown("precision", precision, _PRECISIONS, ", ".join(_PRECISIONS))
    return Setting(precision, channels_last, compiled)


def _layers(
    targets: Sequence[Target], size: int, depth: int, to: Path | None, as_json: bool
) -> int:
    """Show the layers of one network, and write all of them as CSV."""
    if len(targets) != 1:
        raise CovbenchError(
            f"--layers shows one network; {len(targets)} are selected.", "Name one of them."
        )
    from reports.profiles.layer_tree import layer_csv, layer_objects, layer_tree
    from runners.profiling.work import layers_of

    layers = layers_of(targets[0], size)
    if as_json:
        options.print_json(layer_objects(layers))
    else:
        options.print_tree(layer_tree(targets[0].label, layers, depth))
    if to is not None:
        from results.files import file_name, write_atomically

        path = to / f"layers-{file_name(targets[0].label)}.csv"
        write_atomically(path, layer_csv(layers))
        options.messages().print(f"Written: {path}", highlight=False, soft_wrap=True)
    return 0
