"""What an archive doesn't tell: people, machines' names, paths; and patients, where asked for."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from results.record import Environment, Failure, RunRecord
from zoo.errors import CovbenchError

UNSAID = "not exported"
"""Stands for an exception whose type can't be told from its message."""

_PATH = re.compile(
    r"""(?<![\w/.<])/\w       # /home, but neither a/b nor https:// nor </td>
      | (?<!\w)~[\w-]*[/\\]   # ~/data, ~jane/data
      | (?<!\w)[A-Za-z]:[\\/](?!/)  # C:\data
      | (?<![\w\\])\\\\\w     # \\server\share
      | file:/
    """,
    re.VERBOSE,
)

_PLATFORM = re.compile(
    r"[a-z]+|[\d.]+|x86_64|amd64|arm64|aarch64|i[3-6]86|ppc64le|riscv64|s390x|(32|64)bit"
    r"|glibc[\d.]+|musl[\d.]+|SP\d+",
    re.IGNORECASE,
)
"""Parts of a platform's name that say what it is; a kernel's suffix may be a lab's own."""
_WORDS = {"linux", "macos", "darwin", "windows", "freebsd", "arm", "with"}


@dataclass(frozen=True)
class Pseudonyms:
    """Other names for images and patients: keyed hashes, the same for the same name.

    Without the key nobody can try names until one fits; it is kept nowhere.

    Args:
        key: A random key; None leaves names as they are.
    """

    key: bytes | None = None

    def __call__(self, name: str) -> str:
        """The name by which the archive calls it; no name stays none."""
        if self.key is None or not name:
            return name
        # A letter first, lest a program takes it for a number.
        return "h" + hmac.new(self.key, name.encode(), hashlib.sha256).hexdigest()[:16]


def anonymous(record: RunRecord, names: Pseudonyms) -> RunRecord:
    """A record without what tells of people and machines; its id is the same.

    Args:
        record: The record.
        names: What its patients are called.

    Raises:
        CovbenchError: A path stands where nothing can be taken away, such as in a network's
            options, which are part of the id.
    """
    shared = sorted(map(names, record.data.shared_groups))
    kind = re.sub(r"^covbench_file_(.+)_[0-9a-f]{8}\.", r"\1.", record.code.network_class)
    notes = tuple(_without_message(note) for note in record.cost.notes)
    found = record.model_copy(
        update={
            "code": record.code.model_copy(update={"network_class": kind}),
            "env": _plain_environment(record.env),
            "data": record.data.model_copy(update={"shared_groups": tuple(shared)}),
            "cost": record.cost.model_copy(update={"notes": notes}),
            "weights_name": None,
        }
    )
    _refuse_paths(found.model_dump(mode="json"), record.spec.title)
    return found


def _plain_environment(env: Environment) -> Environment:
    """An environment without what its owner named, and without the numbers of a cluster's jobs."""
    owned = ("SLURM_", "CUDA_VISIBLE_DEVICES")
    variables = {k: v for k, v in env.variables.items() if not k.startswith(owned)}
    update = {"platform": plain_platform(env.platform), "variables": variables}
    return env.model_copy(update=update)


def account(failure: Failure) -> Failure:
    """A failure's account with nothing but its status and the type of its exception.

    Messages, hints and logs quote paths, command lines and names of images, in any wording.

    Raises:
        CovbenchError: A path stands in what was run.
    """
    kind = re.match(r"([A-Za-z_]\w{0,60})(?::|$)", failure.exception, re.ASCII)
    short = kind[1] if kind else UNSAID
    found = failure.model_copy(update={"exception": short, "hint": "", "log_tail": ""})
    _refuse_paths(found.model_dump(mode="json"), failure.spec.title)
    return found


def hide_cases(content: bytes, names: Pseudonyms) -> bytes:
    """A cases.csv with other names, in their order: the order of the real ones would tell."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    hidden = [word for word in ("id", "group", "source") if word in (reader.fieldnames or ())]
    lines = [{**line, **{word: names(line[word]) for word in hidden}} for line in reader]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(reader.fieldnames or ()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(lines, key=lambda line: line["id"]))
    return text.getvalue().encode()


def hide_predictions(content: bytes, names: Pseudonyms) -> bytes:
    """A predictions.npz with other names, in their order."""
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        found = {names(str(name)): file[f"p{place}"] for place, name in enumerate(file["ids"])}
    order = sorted(found)
    arrays: dict[str, Any] = {f"p{place}": found[name] for place, name in enumerate(order)}
    changed = io.BytesIO()
    np.savez_compressed(changed, ids=np.array(order), **arrays)
    return changed.getvalue()


def plain_platform(text: str) -> str:
    """A platform without what its owner named: `Linux-6.1.0-x86_64-with-glibc2.36`."""
    parts = text.split("-")
    known = (part for part in parts if _PLATFORM.fullmatch(part))
    return "-".join(part for part in known if not part.isalpha() or part.lower() in _WORDS)


def _without_message(note: str) -> str:
    """A note such as `not counted: x (TypeError: message)` with the type alone."""
    return re.sub(r"\((\w+): .*\)$", r"(\1)", note, flags=re.DOTALL)


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def _refuse_paths(payload: dict[str, Any], title: str) -> None:
    for text in texts(payload):
        if _PATH.search(text):
            raise CovbenchError(
                f"{title} can't be exported: its record holds a path, {ascii(text)[:120]}.",
                "Leave that run out with --models, or run it again without the path.",
            )
