"""From source files to a prepared dataset: checked, decoded once, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmark.datasets.cases import Case, read_cases, write_cases
from benchmark.datasets.catalogue import RECIPES, get_recipe
from benchmark.datasets.lists import FOLDS, find_lists, lists_as_json, match_lists
from benchmark.datasets.manifest import CASES, IMAGES, LUNGS, MANIFEST, MASKS, Manifest
from benchmark.datasets.prepared import PreparedDataset, data_root, file_hash, tasks_of
from benchmark.datasets.recipes import REVISION, Decoded, Recipe, Slice
from benchmark.labels import IGNORE, unnamed
from zoo.errors import CovbenchError

Progress = Callable[[int, int], None]

_STALE_SECONDS = 24 * 3600


def prepare_dataset(
    name: str,
    source: Path | None = None,
    *,
    as_name: str | None = None,
    root: Path | None = None,
    progress: Progress | None = None,
    lists: Path | None = None,
    **options: Any,
) -> PreparedDataset:
    """Make the local, verified copy of a dataset that every run reads.

    Where a copy of the same source files with the same options is there and whole, nothing is
    done and its `fresh` is False. Otherwise the new copy is written beside it and takes its
    place whole: a crash never leaves one half-made.

    Args:
        name: A recipe's; `benchmark.datasets.catalogue.RECIPES` has them.
        source: The folder with the downloaded files; none for phantom.
        as_name: Another name to keep it under; required for folder.
        root: Where prepared datasets live; see `data_root`.
        progress: Called as progress(done, total) after each file or patient.
        lists: A folder with lists of the folds; see `benchmark.datasets.lists`.
        **options: The recipe's options, as values or as a command line's strings.

    Returns:
        The prepared dataset, opened.

    Raises:
        CovbenchError: The name, an option or a source file does not do; the error says which.
    """
    recipe = get_recipe(name)
    target = data_root(root) / _target_name(recipe, as_name)
    parsed = recipe.parse(options)
    found = recipe.find(source, parsed)
    own = find_lists(lists) if lists else {}
    files = {**found.files, **{f"lists/{label}": path for label, path in own.items()}}
    wanted: dict[str, Any] = {
        "recipe": name,
        "revision": REVISION,
        "parameters": parsed.parameters(),
        "sources": {label: file_hash(path) for label, path in sorted(files.items())},
    }
    if existing := _same(target, wanted):
        return existing
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        draft = _beside(target)
        draft.mkdir()
        try:
            counted = _write_arrays(draft, found.decode(), found.steps, progress)
            if own:
                counted = _with_lists(draft, own, name, counted)
            classes = _classes(
                getattr(parsed, "label_map", {0: 0, 1: 1}), getattr(parsed, "classes", None) or {}
            )
            manifest = Manifest(
                name=target.name,
                **wanted,
                **counted,
                classes=classes,
                tasks=tasks_of(classes, LUNGS in counted["files"]),
                licence=recipe.card.licence,
                citation=recipe.card.citation,
            )
            manifest = manifest.model_copy(update={"manifest_hash": manifest.identity()})
            text = manifest.model_dump_json(by_alias=True, indent=2)
            _write(draft / MANIFEST, text.encode())
            _publish(draft, target, manifest)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CovbenchError(
            f"{target} could not be written ({error.strerror or error}).",
            ("Free some disk space, or set" if full else "Set")
            + " COVBENCH_DATA to a folder that you may write to.",
        ) from error
    return PreparedDataset(target, fresh=True)


def _with_lists(
    draft: Path, lists: dict[str, Path], name: str, counted: dict[str, Any]
) -> dict[str, Any]:
    """Write the user's folds; return the manifest's fields with them."""
    cases, _ = read_cases((draft / CASES).read_bytes())
    text = lists_as_json(match_lists(lists, [case.id for case in cases], name))
    _write(draft / FOLDS, text)
    files = {**counted["files"], FOLDS: hashlib.sha256(text).hexdigest()}
    notes = (*counted["notes"], "The folds are the lists that were given, in place of any others.")
    return {**counted, "files": files, "fold_list": None, "notes": notes}


def _target_name(recipe: Recipe, as_name: str | None) -> str:
    """The folder's name; a recipe's own name stays with that recipe."""
    name = as_name or recipe.card.name
    if name == "folder":
        raise CovbenchError(
            "Your own data need a name of their own.", f"Name them: `{recipe.card.obtain}`."
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise CovbenchError(
            f"{name!r} can't be the name of a dataset.",
            "Use up to 64 of a-z, 0-9, dot, dash and underscore, a letter or digit first.",
        )
    if name in RECIPES and name != recipe.card.name:
        raise CovbenchError(
            f"The name {name} belongs to the dataset {name} itself.", "Choose another name."
        )
    return name


def _same(target: Path, wanted: dict[str, Any]) -> PreparedDataset | None:
    """The whole dataset that is there already, if it was made from just this."""
    try:
        existing = PreparedDataset(target)
        made = existing.manifest.model_dump(mode="json")
        if any(made[key] != value for key, value in wanted.items()):
            return None
        existing.verify()
    except CovbenchError:
        return None
    return existing


def _write_arrays(
    draft: Path, decoded: Decoded, steps: int, progress: Progress | None
) -> dict[str, Any]:
    """Write images, masks and the table; return the manifest's fields about them."""
    cases: list[Case] = []
    foreground: list[int] = []
    seen: set[str] = set()
    pixels: Counter[int] = Counter()
    kind: np.dtype[Any] = np.dtype(np.uint8)
    with ExitStack() as stack:
        planes: dict[str, _Plane] = {}
        for done, step in enumerate(decoded.steps, start=1):
            for item in step:
                case, labels = _checked(item, seen)
                arrays = {IMAGES: item.image, MASKS: item.mask}
                if item.lung is not None:
                    arrays[LUNGS] = item.lung
                if not cases:
                    kind = item.image.dtype
                    planes = {name: stack.enter_context(_Plane(draft / name)) for name in arrays}
                if arrays.keys() != planes.keys():
                    raise CovbenchError(
                        f"Some slices have a lung mask and {item.id} differs from them.",
                        "Give every image its lung mask, or leave all of them out.",
                    )
                if item.image.dtype != kind:
                    raise CovbenchError(
                        f"Some images are in Hounsfield units and others are 8-bit grey: "
                        f"{item.id} differs from those before it.",
                        "Prepare the two kinds under two names, or bring them all to 8-bit grey "
                        "with --option window=-1250,250 where the dataset takes it.",
                    )
                for name, array in arrays.items():
                    planes[name].write(array.tobytes())
                cases.append(case)
                pixels.update(labels)
                foreground.append(sum(n for k, n in labels.items() if k not in (0, IGNORE)))
            if progress is not None:
                progress(done, steps)
    if not any(foreground):
        raise CovbenchError(
            f"None of the {len(cases)} masks holds anything but background.",
            "Check that these are the masks, and that label_map maps their labels to classes.",
        )
    table = write_cases(cases, foreground)
    _write(draft / CASES, table)
    files = {name: plane.sha.hexdigest() for name, plane in planes.items()}
    return {
        "files": {**files, CASES: hashlib.sha256(table).hexdigest()},
        "values": "hu" if kind == np.int16 else "grey",
        "slices": len(cases),
        "groups": len({case.group for case in cases}),
        "groups_known": decoded.groups_known,
        "fold_list": decoded.fold_list,
        "class_pixels": dict(sorted(pixels.items())),
        "notes": (*decoded.notes, *decoded.closing()),
    }


class _Plane:
    """A file of pixels while it is written, with the hash of what it holds; synced at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.sha = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.sha.update(data)
        self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())


def _classes(label_map: Mapping[int, int], names: Mapping[int, str]) -> dict[int, str]:
    """Names of the classes that a label map can give, as a user calls them or by number."""
    count = len(set(label_map.values()) - {IGNORE})
    if count == 2:
        return {0: "background", 1: "infection"}
    return {0: "background", **{k: names.get(k, unnamed(k)) for k in range(1, count)}}


def _checked(item: Slice, seen: set[str]) -> tuple[Case, dict[int, int]]:
    """The slice's line of the table and its pixels per label."""
    if item.id in seen:
        raise CovbenchError(
            f"Two slices are called {item.id!r}.",
            "Rename a file: slice k of a volume NAME is called NAME-k.",
        )
    for name in (item.id, item.group):
        if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in name):
            raise CovbenchError(
                f"The name {name!a} holds a control character or is no valid text.",
                "Rename the file, or mend the group, so that tables and archives can hold it.",
            )
    seen.add(item.id)
    height, width = item.image.shape
    if item.lung is not None and item.lung.shape != item.image.shape:
        raise CovbenchError(
            f"The image {item.id} and its lung mask differ in size: {height} x {width} and "
            f"{item.lung.shape[0]} x {item.lung.shape[1]}.",
            "Export the lung mask at the image's own size.",
        )
    counts = np.bincount(item.mask.ravel(), minlength=256)
    labels = {int(k): int(counts[k]) for k in np.flatnonzero(counts)}
    return Case(item.id, item.group, height, width, item.spacing_mm, item.source), labels


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(target: Path) -> Path:
    """A hidden name in the same folder, for what is on its way in or out."""
    return target.parent / f".{target.name}-{secrets.token_hex(6)}"


def _publish(draft: Path, target: Path, manifest: Manifest) -> None:
    """Put a finished draft in its place, unless another process has just put the same there."""
    try:
        draft.rename(target)
        return
    except OSError:
        if not target.exists():
            raise
    try:
        there = PreparedDataset(target)
        if there.manifest == manifest:
            there.verify()
            return
    except CovbenchError:
        pass  # it is damaged: replaced below
    old = _beside(target)
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove drafts that killed processes left long ago."""
    for left in target.parent.glob(f".{target.name}-*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
