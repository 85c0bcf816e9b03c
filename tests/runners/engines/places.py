"""Where the engines are tested: this machine, a Slurm cluster, a Ray cluster."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runners.executors import local
from runners.executors.base import Executor, RunState
from runners.executors.local import LocalExecutor
from runners.executors.profile import SlurmProfile
from runners.executors.slurm import SlurmExecutor
from tests.runners.engines.slurm_cluster import free_ports, slurm_cluster
from tests.runners.engines.slurm_cluster import why_not as why_no_slurm
from tests.runners.engines.toys import Toy, play

WAIT = 300.0
"""Seconds until something counts as never happening, however busy the machine is."""


class Place:
    """An engine and where it runs.

    Attributes:
        name: local, slurm or ray.
        survives: Whether runs go on when their driver is gone.
        arguments: What `covbench run` is given to use it.
    """

    name = "local"
    survives = False
    arguments: tuple[str, ...] = ("--jobs", "2")

    def engine(self, root: Path, gpu: bool = False, memory: str | None = None) -> Executor:
        """An engine for toys."""
        return LocalExecutor([0, 1] if gpu else [None, None], entry=play)

    def shorten(self, monkeypatch: Any, grace: float = 1.0) -> None:
        """Wait for less long before killing and before asking a second time."""
        monkeypatch.setattr(local, "_GRACE_SECONDS", grace)
        monkeypatch.setattr(local, "_BUSY_RETRY_SECONDS", 0.2)

    def expendable(self, nodes: set[str]) -> str:
        """One of the nodes that toys noted which the cluster can do without."""
        raise NotImplementedError

    def lose_node(self, node: str) -> None:
        """A node and what runs on it are gone at once."""
        raise NotImplementedError

    def restore_node(self, node: str) -> None:
        """It is back."""


class SlurmPlace(Place):
    name = "slurm"
    survives = True

    def __init__(self, cluster: Any, folder: Path) -> None:
        self._cluster = cluster
        profile = folder / "profile.toml"
        profile.write_text('partition = "main"\nmemory = "1500M"\nflags = ["--nice=1"]\n')
        self.arguments = ("--executor", "slurm", "--profile", str(profile))

    def engine(self, root: Path, gpu: bool = False, memory: str | None = None) -> Executor:
        profile = SlurmProfile(gres="gpu:1" if gpu else None, memory=memory or "150M")
        return SlurmExecutor(root, profile, play, every=0.3)

    def shorten(self, monkeypatch: Any, grace: float = 1.0) -> None:
        from runners.executors import slurm

        monkeypatch.setattr(slurm, "GRACE_SECONDS", grace)
        monkeypatch.setattr(slurm, "_BUSY_RETRY_SECONDS", 0.5)

    def expendable(self, nodes: set[str]) -> str:
        return max(nodes)

    def lose_node(self, node: str) -> None:
        self._cluster.kill_node(node)

    def restore_node(self, node: str) -> None:
        self._cluster.start_node(node)
        self._cluster.wait_until_up()


class RayPlace(Place):
    name = "ray"

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.restore_node("")
        self.arguments = ("--executor", "ray", "--address", cluster.address, "--gpus", "none")

    def engine(self, root: Path, gpu: bool = False, memory: str | None = None) -> Executor:
        from runners.executors.ray import RayExecutor

        return RayExecutor(self._cluster.address, 1.0 if gpu else 0.0, entry=play)

    def shorten(self, monkeypatch: Any, grace: float = 1.0) -> None:
        from runners.executors import ray

        monkeypatch.setattr(ray, "GRACE_SECONDS", grace)
        monkeypatch.setattr(ray, "_BUSY_RETRY_SECONDS", 0.5)

    def expendable(self, nodes: set[str]) -> str:
        return max(nodes - {_daemon(self._cluster.head_node)})

    def lose_node(self, node: str) -> None:
        (lost,) = [each for each in self._cluster.worker_nodes if _daemon(each) == node]
        self._cluster.remove_node(lost, allow_graceful=False)

    def restore_node(self, node: str) -> None:
        _add_node(self._cluster)


def _add_node(cluster: Any) -> None:
    """Start a node; a busy machine may need another try.

    A daemon ends itself where its agents have not told their ports within 15 seconds, which can't
    be changed. So they are told what can be told, and nothing else is started.
    """
    import psutil

    options: dict[str, Any] = {"num_cpus": 2, "num_gpus": 2}
    if cluster.head_node is None:
        options |= {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    before = {each.pid for each in psutil.Process().children()}
    for last in (*[False] * 5, True):
        try:
            cluster.add_node(**options, **dict(zip(_AGENTS, free_ports(4), strict=True)))
            return
        except Exception:  # Ray raises nothing more special
            if last:
                raise
            for each in psutil.Process().children():  # what the failed attempt left running
                if each.pid not in before:
                    each.kill()
                    each.wait()


_AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


def _daemon(node: Any) -> str:
    """The process number of a Ray node's daemon, which toys note as their node."""
    return str(node.all_processes["raylet"][0].process.pid)


def why_not(name: str) -> str | None:
    """Why an engine can't be tested here, or None."""
    if name == "slurm":
        return why_no_slurm()
    if name == "ray":
        return None if importlib.util.find_spec("ray") else "ray is not installed"
    return None


@contextmanager
def place(name: str, folder: Path) -> Iterator[Place]:
    """An engine's place while a block runs.

    Args:
        name: local, slurm or ray.
        folder: For files.
    """
    if name == "local":
        yield Place()
    elif name == "slurm":
        with slurm_cluster() as cluster:
            yield SlurmPlace(cluster, folder)
    else:
        with ray_cluster() as cluster:
            yield RayPlace(cluster)


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of one node with two (pretended) GPUs."""
    before = {name: os.environ.get(name) for name in _RAY}
    os.environ.update(_RAY)  # before the import, which reads them
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        _add_node(cluster)
        yield cluster
    finally:
        ray.shutdown()  # a test that failed may have left this process connected
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_RAY = {
    # Workers that wait for tasks that may never come would take the cores from those that do.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    # A busy machine starts a worker late, and answers late; neither is a lost node.
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_agent_register_timeout_ms": "300000",
    # Long enough for a daemon that starts; one that has ended itself is tried again.
    "RAY_raylet_start_wait_time_s": "45",
}


def states(engine: Executor) -> dict[str, RunState]:
    return dict(engine.poll())


def wait(
    engine: Executor, true: Callable[[dict[str, RunState]], bool], seconds: float = WAIT
) -> None:
    """Ask the engine until something holds."""
    until = time.monotonic() + seconds
    while not true(found := states(engine)):
        assert time.monotonic() < until, found
        time.sleep(0.1)


def finish(engine: Executor, *toys: Toy, seconds: float = WAIT) -> dict[str, RunState]:
    """Wait until toys are gone; returns how each ended."""
    names = [each.spec.id for each in toys]
    wait(engine, lambda found: all(found[name].state == "gone" for name in names), seconds)
    found = states(engine)
    return {name: found[name] for name in names}
