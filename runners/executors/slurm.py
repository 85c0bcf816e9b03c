"""The Slurm engine: waves of runs as job arrays. Slurm says who is alive, and nothing else.

A wave is a folder OUT/.covbench/slurm/NAME with one JSON file a run, the batch script, and what
each task left: `3.out`, its output before the run's own log began, and `3.exit`, its exit code. The
array has the wave's name, so a driver that starts later finds the jobs of an earlier one. Neither
accounting (`sacct`) nor pickled code is needed.
"""

from __future__ import annotations

import fcntl
import json
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.files import parse_json, tail, write_atomically
from runners.entry import pack, python_path
from runners.executors.base import RunState, Work
from runners.executors.profile import SlurmProfile
from runners.job import BUSY, INTERRUPTED
from runners.server import exit_in_words
from zoo.errors import CovbenchError, one_line
from zoo.limits import read_limited

GRACE_SECONDS = 60.0
"""How long a cancelled task may take to write its checkpoint before Slurm kills it."""

FOLDER = Path(".covbench") / "slurm"
_WAVE = "wave.json"
_BUSY_RETRY_SECONDS = 30.0
_QUEUED = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")
_KEEP_SECONDS = 24 * 3600.0

_SCRIPT = """#!/bin/bash
# One run of this wave; written by covbench.
export PYTHONPATH={python_path}
set -e
{setup}
set +e
task={folder}/$SLURM_ARRAY_TASK_ID
rm -f "$task.exit"
worker=
again=
# Before the time limit the run writes a checkpoint and goes to the end of the queue.
trap 'again=1; [ -n "$worker" ] && kill -TERM "$worker"' USR1
trap '[ -n "$worker" ] && kill -TERM "$worker"' TERM
{python} -P -m runners.entry "$task.json" &
worker=$!
wait "$worker"
code=$?
while kill -0 "$worker" 2> /dev/null; do  # a signal woke us, not its end
  wait "$worker"
  code=$?
done
if [ "$code" = {interrupted} ] && [ -n "$again" ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60 && exit "$code"
fi
echo "$code" > "$task.exit.new" && mv -f "$task.exit.new" "$task.exit"
exit "$code"
"""


@dataclass(frozen=True)
class _Task:
    """One task of an array, as Slurm lists it."""

    job: str
    state: str
    reason: str

    @property
    def queued(self) -> bool:
        return self.state in _QUEUED


_NO_CLUSTER = ("Could not establish a configuration", "Unable to contact slurm controller")
"""What sbatch says where there is no cluster, whatever it is asked for."""


class SlurmExecutor:
    """Runs as tasks of job arrays. They go on when this process ends.

    Args:
        root: The store; waves lie in a hidden folder of it, which all nodes must see.
        profile: Partition, time, memory and the like.
        entry: What a worker does with its job; it must be importable on the nodes.
        every: Seconds between two questions to Slurm.

    Raises:
        CovbenchError: Slurm's commands are not here.
    """

    def __init__(
        self,
        root: Path,
        profile: SlurmProfile,
        entry: Callable[[Any], None] | None = None,
        every: float = 5.0,
    ) -> None:
        for name in ("sbatch", "squeue", "scancel"):
            if shutil.which(name) is None:
                raise CovbenchError(
                    f"Slurm's command {name} is not on this machine.",
                    "Give the command on a login node of the cluster, or leave out --executor.",
                )
        if entry is None:
            from runners.worker import work

            entry = work
        self._folder = root.resolve() / FOLDER
        self._profile = profile
        self._entry: Callable[[Any], None] = entry
        self._every = every
        self._asked = float("-inf")
        self._jobs: dict[str, Work] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._alive: dict[str, _Task] = {}
        self._missed: set[str] = set()
        self._cancelled: set[str] = set()
        self._kill_at: dict[str, float] = {}
        self._later: dict[str, float] = {}

    def submit(self, jobs: Sequence[Work]) -> None:
        """Queue runs; one that is queued or running already, by whatever driver, is left as it is.

        Raises:
            CovbenchError: Slurm refused.
        """
        wanted = {job.spec.id: job for job in jobs}
        self._jobs.update(wanted)
        with self._locked():
            self._places.update(self._all_places())
            self._ask()
            new = [job for run_id, job in wanted.items() if run_id not in self._alive]
            for job in new:
                self._missed.discard(job.spec.id)
                self._cancelled.discard(job.spec.id)
                self._later.pop(job.spec.id, None)
            for start in range(0, len(new), self._profile.wave):
                self._send(new[start : start + self._profile.wave])
            if new:
                self._ask()

    def poll(self) -> Mapping[str, RunState]:
        """The state of every submitted run by its id; asks Slurm every few seconds."""
        if time.monotonic() - self._asked > self._every:
            self._ask()
            self._kill_the_deaf()
        due = [run_id for run_id, when in self._later.items() if time.monotonic() > when]
        if due:
            self.submit([self._jobs[run_id] for run_id in due])
        return {run_id: self._state(run_id) for run_id in self._jobs}

    def wait(self, seconds: float) -> None:
        """Pause: Slurm is asked every few seconds anyway."""
        time.sleep(seconds)

    def cancel(self, ids: Collection[str] | None = None) -> None:
        """Ask runs (all by default) to stop with a checkpoint; queued ones are dropped."""
        self._ask()
        waiting: list[str] = []
        running: list[str] = []
        for run_id, task in self._alive.items():
            if run_id in self._jobs if ids is None else run_id in ids:
                self._cancelled.add(run_id)
                (waiting if task.queued else running).append(task.job)
                if not task.queued:
                    self._kill_at.setdefault(run_id, time.monotonic() + GRACE_SECONDS)
        if waiting:
            _call("scancel", *waiting)
        if running:
            # To the batch script alone: it asks the worker, and waits for it.
            _call("scancel", "--batch", "--signal=TERM", *running)

    def adopt(self) -> dict[str, RunState]:
        """All runs of this store that Slurm still has, whoever submitted them."""
        self._places.update(self._all_places())
        self._ask()
        return {run_id: self._state(run_id) for run_id in self._alive}

    def close(self) -> None:
        """Nothing: jobs go on by themselves, and the next driver finds them."""

    def _state(self, run_id: str) -> RunState:
        if run_id in self._later:
            return RunState("queued")
        task = self._alive.get(run_id)
        if task is not None:
            return RunState("queued" if task.queued else "running", task.reason)
        wave, index = self._places[run_id]
        code = _exit_code(self._folder / wave / f"{index}.exit")
        if code is None and run_id in self._cancelled:
            return RunState("gone", "cancelled", INTERRUPTED)
        if code is None and run_id not in self._missed:
            return RunState("running")  # its exit code may still be on its way to this machine
        if code is None:
            return RunState("gone", self._lost(wave, index))
        if code == BUSY:
            self._later[run_id] = time.monotonic() + _BUSY_RETRY_SECONDS
            return RunState("queued")
        return RunState("gone", exit_in_words(code), code)

    def _lost(self, wave: str, index: int) -> str:
        """What is known of a task that left no exit code."""
        try:
            output = tail(self._folder / wave / f"{index}.out")
        except OSError:
            output = ""
        last = one_line(" ".join(output.strip().splitlines()[-1:]))[:300]
        return "was ended by Slurm or with its node" + (f": {last}" if last else "")

    def _send(self, jobs: Sequence[Work]) -> None:
        """Submit one wave as one array."""
        name = f"covbench-{uuid.uuid4().hex[:12]}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        for index, job in enumerate(jobs):
            (folder / f"{index}.json").write_text(pack(job, self._entry), encoding="utf-8")
        script = folder / "batch.sh"
        script.write_text(
            _SCRIPT.format(
                python_path=shlex.quote(python_path()),
                setup="\n".join(self._profile.setup) or ":",
                folder=shlex.quote(str(folder)),
                python=shlex.quote(self._profile.python or sys.executable),
                interrupted=INTERRUPTED,
            ),
            encoding="utf-8",
        )
        write_atomically(folder / _WAVE, json.dumps([job.spec.id for job in jobs]))
        result = _call("sbatch", *self._profile.arguments(name, folder, len(jobs)), str(script))
        if result.returncode != 0:
            shutil.rmtree(folder)
            said = " ".join(result.stderr.split())[:300]
            if any(words in said for words in _NO_CLUSTER):
                raise CovbenchError(
                    f"No Slurm cluster answers here: {said}",
                    "Give the command on a login node, where `sinfo` lists the nodes.",
                )
            raise CovbenchError(
                f"Slurm refused the runs: {said}",
                "Change what the profile asks for; docs/clusters.md explains it.",
            )
        self._places.update({job.spec.id: (name, index) for index, job in enumerate(jobs)})

    def _ask(self) -> None:
        """Learn which tasks are alive. Where Slurm doesn't answer, all stays as it was."""
        result = _call("squeue", "--noheader", "--array", "--format=%j|%K|%i|%T|%r")
        self._asked = time.monotonic()
        if result.returncode != 0:
            return
        by_place = {place: run_id for run_id, place in self._places.items()}
        alive: dict[str, _Task] = {}
        for line in result.stdout.splitlines():
            name, index, job, state, reason = line.split("|", 4)
            run_id = by_place.get((name, int(index))) if index.isdecimal() else None
            if run_id is not None:
                alive[run_id] = _Task(job, state, "" if reason == "None" else reason)
        gone = self._places.keys() - alive.keys()
        self._missed = {run_id for run_id in gone if run_id not in self._alive}
        self._alive = alive

    def _kill_the_deaf(self) -> None:
        now = time.monotonic()
        for run_id, when in list(self._kill_at.items()):
            task = self._alive.get(run_id)
            if task is None:
                del self._kill_at[run_id]
            elif now > when:
                _call("scancel", task.job)

    def _all_places(self) -> dict[str, tuple[str, int]]:
        """Where each run of this store was sent last; waves that nobody can need are removed."""
        places: dict[str, tuple[str, int]] = {}
        waves = sorted(self._folder.glob(f"*/{_WAVE}"), key=lambda path: path.stat().st_mtime_ns)
        for path in waves:
            if time.time() - path.stat().st_mtime > _KEEP_SECONDS and self._is_over(path.parent):
                shutil.rmtree(path.parent, ignore_errors=True)
                continue
            for index, run_id in enumerate(runs_of_wave(path)):
                places[run_id] = (path.parent.name, index)
        return places

    def _is_over(self, wave: Path) -> bool:
        result = _call("squeue", "--noheader", f"--name={wave.name}")
        return result.returncode == 0 and not result.stdout.strip()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two drivers on one store submit one after the other, so that each sees the other's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".submitting").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def runs_of_wave(wave: Path) -> list[str]:
    """The ids of a wave's runs, by task; none where its file can't be read."""
    try:
        found = parse_json(read_limited(wave, "manifest_bytes"))
    except (OSError, ValueError, CovbenchError):
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def _exit_code(path: Path) -> int | None:
    """What a task left as its exit code; a shell's 128 + n is the signal n."""
    try:
        code = int(path.read_text())
    except (OSError, ValueError):
        return None
    return 128 - code if code > 128 else code


def _call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)
