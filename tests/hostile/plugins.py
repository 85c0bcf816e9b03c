"""Files of networks that are broken, and whole commands in places that they don't expect.

A command runs in a process of its own, within 4 GB of address space, and ends in two lines or well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runners.trial import try_files
from tests.hostile.case import Case, written

ROOT = Path(__file__).parents[2]
ADDRESS_SPACE = 4 * 2**30
NET = """
from torch import nn

class {name}(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, 1)

    def forward(self, x):
        return self.conv(x)
"""

_START = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE}, {ADDRESS_SPACE}))
from runners.cli import main
main()
"""


AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Runs a command of root's for which permissions hold."""


@dataclass(frozen=True)
class Command:
    """A command and what it must say.

    Attributes:
        name: Its name in the table.
        arguments: After `covbench`.
        files: What lies in its folder.
        code: Its exit code.
        says: Words on standard error, or on standard output where it ends well.
        env: Changes of the environment; None takes a variable away, and HERE is its folder.
        modes: Permissions of some of its files and folders. They hold for root too.
    """

    name: str
    arguments: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)
    code: int = 1
    says: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)


def run(command: Command, room: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of its own."""
    room.mkdir()
    for name, text in command.files.items():
        (room / name).parent.mkdir(parents=True, exist_ok=True)
        (room / name).write_text(text, encoding="utf-8")
    for name, mode in command.modes.items():
        (room / name).chmod(mode)
    bound = AS_OTHERS if command.modes and os.geteuid() == 0 else ()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COVBENCH_DATA": str(room.parent / "data")}
    env |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    given = {key: value for key, value in command.env.items() if value is not None}
    env |= {key: value.replace("HERE", str(room)) for key, value in given.items()}
    for key in (key for key, value in command.env.items() if value is None):
        env.pop(key, None)
    return subprocess.run(
        [*bound, sys.executable, "-c", _START, *command.arguments],
        cwd=room,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def _import(name: str, body: str, *says: str, net: bool = True) -> Case:
    stem = "".join(each for each in name if each.isalnum())
    text = body + (NET.format(name=f"Hostile{stem}") if net else "")
    return Case(f"a file that {name}", tried, written(f"{stem}.py", text), says=says)


def tried(path: Path, out: Path) -> None:
    try_files([str(path)])


CASES = (
    _import("raises", "raise ValueError('no\\ngood')", "line 1", "ValueError: no"),
    _import(
        "raises an exception of its own", "class Odd(BaseException): pass\nraise Odd('x')", "line 2"
    ),
    _import("raises without words", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    _import("is no Python", "def (", "line 1", net=False),
    _import("divides by zero", "1 / 0", "ZeroDivisionError"),
    _import("imports what is missing", "import no_such_package_anywhere", "Install"),
    _import("calls sys.exit", "import sys; sys.exit(0)", "SystemExit"),
    _import("calls os._exit", "import os; os._exit(0)", "ended with exit code 0"),
    _import("aborts", "import os; os.abort()", "SIGABRT"),
    _import("kills itself", "import os, signal; os.kill(os.getpid(), 9)", "SIGKILL"),
    _import("breaks its memory", "import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    _import("hangs", "import time; time.sleep(3600)", "more than 5 s", "--limit plugin_seconds=10"),
    _import("loops for ever", "while True: pass", "more than 5 s"),
    _import("reads standard input", "input()", "EOF"),
    _import("forks", "import os; os.fork()", "starts processes"),
    _import("forks without end", "import os\nwhile True: os.fork()", "more than 5 s"),
    _import("recurses", "def f(): f()\nf()", "RecursionError"),
    _import(
        "eats memory",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "x = [bytearray(2**28) for _ in range(99)]",
        "MemoryError",
    ),
    _import("deletes itself", "import os; os.unlink(__file__)", net=True),
    _import("holds nothing", "", net=False),
    _import("is binary", "\0\1\2", net=False),
)
"""What may go wrong while a file is imported."""

_PRINTS = "print('[1, 2')\nimport sys; sys.stdout.write('x')"
HERE = "имя с пробелами 肺 " + "x" * 150
PLACES = (
    Command(
        "a file that prints",
        ["models", "./prints.py", "--json"],
        {"prints.py": _PRINTS + NET.format(name="HostilePrints")},
        0,
        ("prints",),
    ),
    Command(
        "a file whose path is Unicode",
        ["models", f"{HERE}/net.py:HostileFar"],
        {f"{HERE}/net.py": NET.format(name="HostileFar")},
        0,
        ("HostileFar",),
    ),
    Command("a file that is missing", ["models", "./nowhere.py"], says=("nowhere.py",)),
    Command(
        "a protocol whose path is Unicode",
        ["protocols", f"{HERE}.toml"],
        {f"{HERE}.toml": "[optim]\nepochs = 7"},
        0,
        ("7",),
    ),
    Command(
        "no HOME",
        ["datasets"],
        code=0,
        says=("phantom",),
        env={"HOME": None, "XDG_CACHE_HOME": None, "COVBENCH_DATA": None},
    ),
    Command(
        "a HOME that is not there",
        ["datasets"],
        code=0,
        says=("phantom",),
        env={"HOME": "/nowhere/at/all", "COVBENCH_DATA": None},
    ),
    Command(
        "a HOME that can't be written",
        ["data", "prepare", "phantom"],
        says=("/proc/nowhere",),
        env={"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere", "COVBENCH_DATA": None},
    ),
    Command(
        "a HOME that may not be written",
        ["data", "prepare", "phantom"],
        {"home/note": ""},
        says=("home/.cache", "Permission denied", "Set COVBENCH_DATA"),
        env={"HOME": "HERE/home", "XDG_CACHE_HOME": None, "COVBENCH_DATA": None},
        modes={"home": 0o555},
    ),
    Command(
        "a HOME that may not be written, where nothing needs to be",
        ["data", "prepare", "phantom"],
        {"home/note": ""},
        code=0,
        says=("phantom",),
        env={"HOME": "HERE/home", "XDG_CACHE_HOME": None},
        modes={"home": 0o555},
    ),
    Command(
        "a HOME that may not be entered",
        ["datasets"],
        {"home/note": ""},
        says=("home/.cache", "COVBENCH_DATA"),
        env={"HOME": "HERE/home", "XDG_CACHE_HOME": None, "COVBENCH_DATA": None},
        modes={"home": 0},
    ),
    Command(
        "a store that may not be written",
        ["run", "--models", "unet", "--out", "store"],
        {"store/note": ""},
        says=("store", "Permission denied"),
        modes={"store": 0o555},
    ),
    Command(
        "a store that may not be read",
        ["status", "--out", "store"],
        {"store/note": ""},
        says=("store",),
        modes={"store": 0},
    ),
    Command(
        "a folder of images that may not be read",
        ["data", "prepare", "folder", "scans", "--as", "mine"],
        {"scans/images/a.png": "", "scans/masks/a.png": ""},
        says=("scans/images",),
        modes={"scans/images": 0},
    ),
    Command(
        "an image that may not be read",
        ["data", "prepare", "folder", "scans", "--as", "mine"],
        {"scans/images/a.png": "", "scans/masks/a.png": ""},
        says=("scans/images/a.png",),
        modes={"scans/images/a.png": 0},
    ),
    Command(
        "a protocol that may not be read",
        ["protocols", "./a.toml"],
        {"a.toml": ""},
        says=("a.toml",),
        modes={"a.toml": 0},
    ),
    Command(
        "a network that may not be read",
        ["models", "./net.py"],
        {"net.py": NET.format(name="HostileLocked")},
        says=("net.py",),
        modes={"net.py": 0},
    ),
    Command(
        "an archive that may not be read",
        ["import", "a.covbench"],
        {"a.covbench": ""},
        says=("a.covbench",),
        modes={"a.covbench": 0},
    ),
    Command(
        "data that can't be written",
        ["data", "prepare", "phantom"],
        says=("COVBENCH_DATA",),
        env={"COVBENCH_DATA": "/proc/nowhere"},
    ),
    Command(
        "an out folder that can't be written",
        ["run", "--models", "unet", "--out", "/proc/nowhere"],
        says=("/proc/nowhere",),
    ),
    Command(
        "a locale of C",
        ["models", "unet"],
        code=0,
        says=("U-Net",),
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
    Command(
        "a locale of C, and Unicode",
        ["protocols", "肺.toml"],
        says=(".toml",),
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
    Command(
        "ASCII alone",
        ["models", "@demo"],
        code=0,
        says=("unet",),
        env={"PYTHONIOENCODING": "ascii"},
    ),
    Command(
        "a terminal of 20 columns",
        ["models", "@demo"],
        code=0,
        says=("unet",),
        env={"COLUMNS": "20"},
    ),
    Command(
        "a terminal of 20 columns, an error",
        ["models", "no-such-net"],
        says=("no-such-net",),
        env={"COLUMNS": "20"},
    ),
    Command(
        "a terminal of no columns",
        ["models", "@demo"],
        code=0,
        says=("unet",),
        env={"COLUMNS": "0"},
    ),
    Command("limits that aren't", ["models", "unet", "--models"], code=1),
    Command(
        "an unknown limit", ["import", "x", "--limit", "image_pixel=5"], says=("image_pixels",)
    ),
    Command(
        "a limit that is no number",
        ["import", "x", "--limit", "image_pixels=lots"],
        says=("image_pixels",),
    ),
    Command(
        "an unknown limit in the environment",
        ["protocols", "./a.toml"],
        {"a.toml": ""},
        says=("nesting",),
        env={"COVBENCH_LIMITS": "nestin=5"},
    ),
    Command(
        "a limit in the environment",
        ["protocols", "./a.toml"],
        {"a.toml": "# long"},
        says=("--limit settings_bytes=6",),
        env={"COVBENCH_LIMITS": "settings_bytes=5"},
    ),
)
"""Where a command may find itself."""
