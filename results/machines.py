"""What machines measured: one file holds the cost and speed of many networks on one machine."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.complexity import Cost
from benchmark.speed.state import MachineState
from benchmark.speed.timing import BatchPoint, Timing
from results.files import write_atomically
from results.record import Code, Environment
from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited

SCHEMA = 1
_FOLDER = Path(__file__).parent / "machines"


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ProfiledNetwork(_Block):
    """One network: what it costs and how fast it ran; or why it could not be measured.

    Attributes:
        name: Its row, such as `miniseg` or `unetpp[depth=3]`; `NAME:encoder` is an encoder alone.
        cost: Parameters, multiply-adds, memory; None where it could not be built or run.
        timings: One for each way in which it was run; none where only the cost was asked for.
        curve: Images per second against batch size.
        state: The machine while it was timed.
        error: Why it, or its timing, failed, in one line.
    """

    name: str
    cost: Cost | None = None
    timings: tuple[Timing, ...] = ()
    curve: tuple[BatchPoint, ...] = ()
    state: MachineState | None = None
    error: str | None = None

    def timing(self, way: str) -> Timing | None:
        """The timing of one way, or None."""
        return next((each for each in self.timings if each.way == way), None)


class Peaks(_Block):
    """What the machine can reach, measured: multiply-adds a second, bytes a second."""

    macs_per_second: float
    bytes_per_second: float


class MachineProfile(_Block):
    """The networks that one machine measured in one go.

    Attributes:
        machine: Its short name, from its GPU or processor: `h200`, `epyc-7b13-2-threads`.
        created: When, in UTC.
        env: The machine and its software.
        code: The program.
        input_size: Channels, height and width of the image.
        speed: `quick` or `full`; None where no speed was measured.
        rounds: Processes in which each network was timed.
        reference: The network that every round began and ended with.
        drift: Largest relative difference of the reference's median within a round.
        peaks: What the machine can reach; None where that was not measured.
        networks: The networks, in the order asked for.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    machine: str
    created: str
    env: Environment
    code: Code
    input_size: tuple[int, int, int]
    speed: str | None = None
    rounds: int = 0
    reference: str | None = None
    drift: float | None = None
    peaks: Peaks | None = None
    networks: tuple[ProfiledNetwork, ...]

    def network(self, name: str) -> ProfiledNetwork | None:
        """The network of that name, or None."""
        return next((each for each in self.networks if each.name == name), None)


def machine_names() -> tuple[str, ...]:
    """The profiles that covbench ships, newest last."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def find_profile(name: str) -> MachineProfile:
    """A profile by its path, its name, or the beginning of its name.

    Args:
        name: `profile/profile.json`, `h200-2026-11-24`, or `h200` for the newest of that machine.

    Returns:
        The profile.

    Raises:
        CovbenchError: There is none, or the file is no profile.
    """
    if name.endswith(".json"):
        return read_profile(Path(name))
    found = newest_profile(name)
    if found is None:
        known = machine_names()
        raise unknown("machine", name, known, ", ".join(known) or "none; a profile's .json")
    return found


def newest_profile(name: str) -> MachineProfile | None:
    """The newest shipped profile of a machine, or the one of that whole name; else None."""
    dated = re.compile(re.escape(name) + r"-\d{4}-\d\d-\d\d")
    found = [each for each in machine_names() if each == name or dated.fullmatch(each)]
    return _shipped(found[-1]) if found else None


@cache
def _shipped(name: str) -> MachineProfile:
    return read_profile(_FOLDER / f"{name}.json")


def read_profile(path: Path) -> MachineProfile:
    """Read a profile.

    Raises:
        CovbenchError: The file is missing, is no profile, or is of a newer schema.
    """
    try:
        profile = MachineProfile.model_validate_json(read_limited(path, "profile_bytes"))
    except OSError as error:
        raise CovbenchError(
            f"The profile {path} can't be read: {error.strerror}.", "Check the path."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CovbenchError(
            f"{path} is no machine profile: {where}: {first['msg']}.",
            "Give a .json that `covbench profile --to FOLDER` wrote.",
        ) from error
    if profile.schema_version != SCHEMA:
        raise CovbenchError(
            f"{path} has schema {profile.schema_version}; this covbench reads {SCHEMA}.",
            "Install a newer covbench.",
        )
    return profile


def write_profile(profile: MachineProfile, path: Path) -> None:
    """Write a profile, whole or not at all."""
    write_atomically(path, profile.model_dump_json(by_alias=True, indent=1) + "\n")
