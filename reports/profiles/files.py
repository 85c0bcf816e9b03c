"""A profile as tables, figures, words and files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.figures.speed import speed_figure
from reports.profiles.against import against_machine, against_published
from reports.profiles.tables import cost_table, speed_table
from reports.tables.latex import latex_file
from reports.tables.render import csv_text
from reports.tables.table import Table
from results.files import write_atomically
from results.machines import MachineProfile, ProfiledNetwork, write_profile
from results.published import PublishedTable

_FIGURES = ("png", "pdf", "svg")


@dataclass(frozen=True)
class ProfileReport:
    """A profile and its tables."""

    profile: MachineProfile
    tables: tuple[Table, ...]


def profile_report(
    profile: MachineProfile,
    machine: MachineProfile | None = None,
    published: PublishedTable | None = None,
) -> ProfileReport:
    """The tables of a profile.

    Args:
        profile: What was measured.
        machine: Another machine's profile, set beside it.
        published: A published table with frames per second, set beside it.

    Returns:
        Cost, speed where it was measured, and a table for what is set beside.
    """
    tables = [cost_table(profile)]
    speed = speed_table(profile)
    if speed is not None:
        tables.append(speed)
    if machine is not None:
        tables.append(against_machine(profile, machine))
    if published is not None:
        tables.append(against_published(profile, published))
    return ProfileReport(profile, tuple(tables))


def write_profile_report(
    report: ProfileReport, folder: Path, formats: Collection[str]
) -> list[Path]:
    """Write profile.json, the tables, and the figure of speed against size.

    Args:
        report: The report.
        folder: Where to.
        formats: Which of json, md, tex, csv, png, pdf, svg.

    Returns:
        The paths of the files.
    """
    texts = {
        "md": lambda: "\n".join(table.to_markdown() for table in report.tables),
        "tex": lambda: latex_file(report.tables),
        "csv": lambda: csv_text(report.tables),
    }
    written = []
    if "json" in formats:
        written.append(folder / "profile.json")
        write_profile(report.profile, written[-1])
    for name, text in texts.items():
        if name in formats:
            written.append(folder / f"profile.{name}")
            write_atomically(written[-1], text())
    drawn = [name for name in _FIGURES if name in formats]
    figure = speed_figure(report.profile) if drawn else None
    if figure is not None:
        for name in drawn:
            written.append(folder / f"speed.{name}")
            write_atomically(written[-1], figure(name))
    return written


def profile_objects(profile: MachineProfile) -> list[dict[str, Any]]:
    """A dictionary for each network, ready for JSON; the headline figures stand first."""
    shared = {
        "machine": profile.machine,
        "device": profile.env.device,
        "input_size": list(profile.input_size),
        "speed": profile.speed,
        "reference": profile.reference,
    }
    return [_object(network) | shared for network in profile.networks]


def _object(network: ProfiledNetwork) -> dict[str, Any]:
    cost, latency = network.cost, network.timing("latency")
    return {
        "name": network.name,
        "params": cost.params if cost else None,
        "macs": cost.headline if cost else None,
        "latency_ms": latency.latency_ms if latency else None,
        "fps": latency.fps if latency else None,
        **network.model_dump(mode="json", exclude={"name"}),
    }
