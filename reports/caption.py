"""What a leaderboard's numbers are, in sentences made from its records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.comparison import Comparison
from results.record import RunRecord

_SHOWN_GROUPS = 3


def title(comparison: Comparison, target: str) -> str:
    """Dataset, protocol with its changes, and what was segmented."""
    changes = f" with {', '.join(comparison.changes)}" if comparison.changes else ""
    spec = comparison.spec
    what = "" if target == spec.task == "infection" else f", {target} ({spec.task})"
    return f"{spec.dataset}, protocol {spec.protocol}{changes}{what}"


def caption(comparison: Comparison) -> str:
    """The sentences under a leaderboard's heading, without those about its metrics."""
    records = comparison.records
    sentences = [_runs(comparison)]
    if records:
        sentences += [
            _images(records),
            *_sharing(records),
            _cost(records),
            _machine(records),
            _code(records),
        ]
    return " ".join(sentences)


def numbers(values: Iterable[int]) -> str:
    """Whole numbers with their runs joined: `1–3, 5`."""
    parts: list[list[int]] = []
    for value in sorted(set(values)):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 2 else ", ".join(map(str, p)) for p in parts)


def _runs(comparison: Comparison) -> str:
    wanted = comparison.wanted
    folds = sorted({fold for fold, _, _ in wanted})
    seeds = sorted({seed for _, _, seed in wanted})
    where = f"{_word('fold', folds)} {numbers(folds)}, {_word('seed', seeds)} {numbers(seeds)}"
    if len(wanted) == 1:
        return f"One run a row ({where}): no spread."
    return f"Mean ± sample standard deviation over {len(wanted)} runs ({where})."


def _images(records: Sequence[RunRecord]) -> str:
    """How many images a run was trained and tested on."""
    trained = _span(record.data.n_train for record in records)
    tested = _span(record.data.n_test for record in records)
    return f"Each run is trained on {trained} images and tested on {tested}."


def _sharing(records: Sequence[RunRecord]) -> list[str]:
    """Whether patients stand on both sides of a fold; nothing where none can."""
    shared = sorted({group for record in records for group in record.data.shared_groups})
    if shared:
        folds = numbers(record.spec.fold for record in records if record.data.shared_groups)
        more = f" and {len(shared) - _SHOWN_GROUPS} more" if len(shared) > _SHOWN_GROUPS else ""
        listed = ", ".join(shared[:_SHOWN_GROUPS]) + more
        return [
            f"Patients on both sides of the fold: {len(shared)} known ({listed}; fold {folds}), "
            "so the scores are too high for new patients."
        ]
    if not all(record.data.groups_disjoint for record in records):
        return [
            "The patients of some images are not known: images of one patient may stand on both "
            "sides of a fold."
        ]
    return []


def _cost(records: Sequence[RunRecord]) -> str:
    sizes = sorted({record.cost.input_size for record in records})
    return (
        f"MACs: multiply-adds of one image of {' or '.join('×'.join(map(str, s)) for s in sizes)}."
    )


def _machine(records: Sequence[RunRecord]) -> str:
    devices = {
        record.env.cpu if record.env.device == "cpu" else record.env.device for record in records
    }
    return f"Run on {' and '.join(sorted(devices))}."


def _code(records: Sequence[RunRecord]) -> str:
    versions = sorted({record.code.version for record in records})
    commits = sorted({(record.code.git_commit or "unknown")[:7] for record in records})
    text = f"covbench {', '.join(versions)}, commit {', '.join(commits)}"
    dirty = sum(bool(record.code.git_dirty) for record in records)
    if dirty:
        text += f", with uncommitted changes in {dirty} of {len(records)} runs"
    return f"{text}."


def _span(values: Iterable[int]) -> str:
    known = sorted(set(values))
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _word(singular: str, values: Sequence[int]) -> str:
    return singular if len(values) == 1 else f"{singular}s"
