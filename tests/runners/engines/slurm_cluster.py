"""A Slurm cluster of two nodes with two (fake) GPUs each on this one host, as root.

`python -m tests.runners.engines.slurm_cluster FOLDER` starts one and says how to use it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NODES = ("n1", "n2")

_CONF = """
ClusterName=covbench
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=cred_expire=5
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=5
InactiveLimit=0
MinJobAge=300
KillWait=3
OverTimeLimit=0
Waittime=0
JobRequeue=1
MaxArraySize=1001
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=4 CoresPerSocket=4 ThreadsPerCore=1 Sockets=1 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=4 CoresPerSocket=4 ThreadsPerCore=1 Sockets=1 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP GraceTime=5
"""  # noqa: E501

_GRES = """
NodeName=n1 Name=gpu File={folder}/fakegpu[0-1]
NodeName=n2 Name=gpu File={folder}/fakegpu[2-3]
"""


def why_not() -> str | None:
    """Why no cluster can be started here, or None."""
    for name in ("slurmctld", "slurmd", "sbatch", "munged"):
        if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"{name} is not installed"
    if os.geteuid() != 0:
        return "a Slurm cluster on one host needs root"
    return None


@dataclass
class SlurmCluster:
    """A running cluster; `SLURM_CONF` in the environment points Slurm's commands to it."""

    folder: Path

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    def start_node(self, node: str) -> None:
        _run("slurmd", "-N", node, "-f", self.conf)

    def kill_node(self, node: str) -> None:
        """What a power cut does: the daemon and all that it started are gone at once."""
        (process,) = [int((self.folder / f"slurmd-{node}.pid").read_text())]
        import psutil

        doomed = [process]
        # Steps are no children of the daemon any more; they name their node on the command line
        # or in the environment.
        for each in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if (
                    each.environ().get("SLURMD_NODENAME") == node
                    and str(each.environ().get("SLURM_CONF", "")) in ("", str(self.conf))
                ) or (
                    each.name() == "slurmstepd"
                    and any(
                        child.environ().get("SLURMD_NODENAME") == node for child in each.children()
                    )
                ):
                    doomed.append(each.pid)
        for each_pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(each_pid, signal.SIGKILL)

    def wait_until_up(self, nodes: int = 2, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while True:
            shown = _run("sinfo", "-h", "-N", "-o", "%t", conf=self.conf).stdout.split()
            if sum(state in ("idle", "mix", "alloc") for state in shown) >= nodes:
                return
            assert time.monotonic() < until, f"nodes are {shown}"
            time.sleep(0.1)

    def stop(self) -> None:
        import psutil

        _run("scancel", "--full", "--signal=KILL", "--user=root", conf=self.conf)
        for path in self.folder.glob("*.pid"):
            with suppress(psutil.Error, OSError, ValueError):
                process = psutil.Process(int(path.read_text()))
                if process.name().startswith("slurm"):
                    process.kill()
                    process.wait(10)


def start(folder: Path) -> SlurmCluster:
    """Start munge where it does not run, the controller and both nodes."""
    _start_munge()
    for name in ("state", "log", "spool/n1", "spool/n2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(4):
        device = folder / f"fakegpu{number}"
        if not device.exists():
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
    host = socket.gethostname().split(".")[0]
    port, first, second = free_ports(3)
    values = {"folder": folder, "host": host, "port": port, "first": first, "second": second}
    (folder / "slurm.conf").write_text(_CONF.format(**values))
    (folder / "gres.conf").write_text(_GRES.format(**values))
    cluster = SlurmCluster(folder)
    _run("slurmctld", "-c", "-f", cluster.conf)
    for node in NODES:
        cluster.start_node(node)
    cluster.wait_until_up()
    return cluster


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A cluster while a block runs; Slurm's commands of this process and its children use it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # short: sockets lie in it
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    cluster = SlurmCluster(folder)
    try:
        cluster = start(folder)
        yield cluster
    finally:
        cluster.stop()
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _start_munge() -> None:
    check = "munge -n | unmunge"
    if subprocess.run(check, shell=True, capture_output=True).returncode == 0:
        return
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    Path("/run/munge").mkdir(exist_ok=True)
    for path in ("/run/munge", "/var/log/munge", "/var/lib/munge", "/etc/munge"):
        _run("chown", "-R", "munge:munge", path)
    os.chmod("/run/munge", 0o755)
    _run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "/usr/sbin/munged")
    until = time.monotonic() + 60
    while subprocess.run(check, shell=True, capture_output=True).returncode != 0:
        assert time.monotonic() < until, "munge does not answer"
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _run(*words: object, conf: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    env = {**os.environ, "PATH": path, **({"SLURM_CONF": str(conf)} if conf else {})}
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, env=env)


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    started = start(place)
    print(f"export SLURM_CONF={started.conf}")
