"""One reader under libFuzzer: `python -m tests.fuzz.target NAME [libFuzzer's options]`.

What a reader may do with any bytes is give an answer or raise a two-line error; anything else ends
the process, and libFuzzer leaves the bytes in a file.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import atheris

SEEDS = 60
"""Files of the corpus that a reader starts from."""

TARGETS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # name: module of the cases, the reader there, the file's name, modules that are instrumented
    "image": ("pictures", "windowed", "a.png", ("benchmark.datasets.readers", "PIL")),
    "mask": ("pictures", "mask", "a.png", ("benchmark.datasets.readers", "PIL")),
    "nifti": ("volumes", "volume", "a.nii", ("benchmark.datasets.nifti", "nibabel")),
    "nifti-gz": ("volumes", "volume", "a.nii.gz", ("benchmark.datasets.nifti", "nibabel")),
    "dicom": ("series", "one_file", "a.dcm", ("benchmark.datasets.dicom", "pydicom")),
    "lists": ("recipes", "one_list", "train0.txt", ("benchmark.datasets.lists",)),
    "record": ("records", "record", "record.json", ("results", "json")),
    "sidecar": ("sidecars", "traced_of_bytes", "a.trace.json", ("reports.tracing", "json")),
    "plan": ("leftovers", "shown", "plan.json", ("runners.plan", "runners.watch", "json")),
    "progress": ("leftovers", "progress", "progress.json", ("runners.progress",)),
    "archive": ("archives", "imported", "runs.covbench", ("results", "tarfile")),
    "predictions": (
        "records",
        "bytes_of_predictions",
        "a.npz",
        ("results", "numpy.lib", "zipfile"),
    ),
    "protocol": ("settings", "protocol", "a.toml", ("benchmark.settings", "tomllib")),
    "table": ("settings", "printed", "a.csv", ("results.published",)),
    "profile": ("settings", "profile", "a.json", ("results.machines",)),
    "groups": ("folders", "groups_of_bytes", "groups.csv", ("benchmark.datasets.folder", "csv")),
    "weights": ("weights", "tensors", "a.safetensors", ("runners.weights", "safetensors")),
    "weights-pt": (
        "weights",
        "tensors",
        "a.pt",
        ("runners.weights", "torch._weights_only_unpickler"),
    ),
}


def main() -> None:
    """Fuzz one reader until libFuzzer ends."""
    name, *options = sys.argv[1:]
    module, reader, file, instrumented = TARGETS[name]
    with atheris.instrument_imports(include=list(instrumented)):
        cases = import_module(f"tests.hostile.{module}")
    read: Callable[[Path, Path], Any] = getattr(cases, reader)
    from tests.hostile.case import check_two_lines
    from zoo.errors import CovbenchError

    with tempfile.TemporaryDirectory(prefix="covbench-fuzz-") as room:
        path = Path(room) / "in" / file
        path.parent.mkdir()
        out = Path(room) / "out"
        out.mkdir()

        def one(content: bytes) -> None:
            path.write_bytes(content)
            try:
                read(path, out)
            except CovbenchError as error:
                check_two_lines(error)
            gc.collect(0)

        seeds = Path(room) / "seeds"
        seeds.mkdir()
        count = write_seeds(name, seeds)
        print(f"{name}: {count} seeds", file=sys.stderr)
        atheris.Setup([sys.argv[0], *options, str(seeds)], one)
        atheris.Fuzz()


def write_seeds(name: str, folder: Path) -> int:
    """The small files that the corpus has for a reader."""
    module, reader, file, _ = TARGETS[name]
    found = import_module(f"tests.hostile.{module}")
    # What reads one file of a folder starts from the cases of what reads the folder.
    wanted = getattr(found, "SEEDED", {}).get(reader) or getattr(found, reader)
    count = 0
    for place, case in enumerate(found.CASES):
        if case.read is not wanted:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            path = seed_file(case.make(Path(scratch)), file)
            if path.is_file() and path.suffix == Path(file).suffix and path.stat().st_size < 2**16:
                (folder / f"{place:04d}").write_bytes(path.read_bytes())
                count += 1
        if count == SEEDS:
            break
    return count


def seed_file(path: Path, file: str) -> Path:
    """Where a case that makes a folder keeps the file that is fuzzed."""
    if not path.is_dir():
        return path
    found = [each for each in sorted(path.rglob("*")) if each.suffix == Path(file).suffix]
    return found[0] if found else path


if __name__ == "__main__":
    main()
