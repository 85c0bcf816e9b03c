"""The methods section of a paper, written from the records and the protocol."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.metrics import METRICS
from benchmark.protocols import OptimRule, Protocol
from reports.sentences import UNITS
from reports.sides import named
from reports.subject import Subject
from reports.words import listed
from results.record import RunRecord

_LOSSES = {
    "cross-entropy": "cross-entropy",
    "bce-dice": "half binary cross-entropy, half Dice loss",
}
_HELD_OUT = {"group": "patients", "slice": "slices"}


def methods(subject: Subject) -> str:
    """What was done, in sentences that a methods section can take over.

    Args:
        subject: The comparison.

    Returns:
        One paragraph: networks, data and folds, input, augmentation, loss and optimiser, which
        weights are scored, scores, statistics, software; every figure in it is from the records.
        Empty where no run is done.
    """
    records = subject.comparison.records
    protocol = subject.comparison.protocol
    if not records:
        return ""
    sentences = [_networks(subject, records)]
    if protocol is not None:
        sentences += [
            _input(protocol),
            _augmentation(protocol),
            _training(protocol, records),
            _scoring(protocol),
        ]
    sentences += [_statistics(subject), _software(records)]
    return " ".join(sentence for sentence in sentences if sentence)


def _networks(subject: Subject, records: Sequence[RunRecord]) -> str:
    comparison = subject.comparison
    rows = sum(bool(entry.records) for entry in comparison.entries)
    folds = sorted({record.spec.fold for record in records})
    seeds = sorted({record.spec.seed for record in records})
    changes = f" with {', '.join(comparison.changes)}" if comparison.changes else ""
    networks = "One network was" if rows == 1 else f"{rows} networks were"
    scored = sum(record.training is None for record in records)
    how = "scored with given weights" if scored == len(records) else "trained and tested"
    disjoint = all(record.data.groups_disjoint for record in records)
    patients = " No patient has images on both sides of a fold." if disjoint else ""
    return (
        f"{networks} {how} on {comparison.spec.dataset} ({named('fold', folds)}; "
        f"{named('seed', seeds)}) under the protocol {comparison.spec.protocol}{changes} of "
        f"covbench.{patients}"
    )


def _input(protocol: Protocol) -> str:
    rule = protocol.input
    scale = {
        "fold": "mean and standard deviation of the training fold",
        "imagenet": "ImageNet's mean and standard deviation of each channel",
        "unit": "division by 255",
    }[rule.normalise]
    return f"Images were resized to {rule.size}×{rule.size} pixels and normalised by {scale}."


def _augmentation(protocol: Protocol) -> str:
    rule = protocol.augment
    if rule.mode == "none":
        return "Training images were not augmented."
    parts = []
    if rule.mode == "zoom" and rule.zoom != (1, 1):
        parts.append(f"zoom by a factor of {rule.zoom[0]:g} to {rule.zoom[1]:g}")
    if rule.mode == "sizes":
        sizes = listed([f"{each:g}" for each in rule.sizes])
        how = "each batch at one of" if rule.passes == "random" else "one pass an epoch at each of"
        parts.append(f"{how} {sizes} times that size")
    if rule.hflip:
        parts.append(f"horizontal flips (probability {rule.hflip:g})")
    if rule.vflip:
        parts.append(f"vertical flips (probability {rule.vflip:g})")
    if rule.border_crop:
        parts.append(f"cropped borders (probability {rule.border_crop:g})")
    return f"Augmentation: {listed(parts)}." if parts else ""


def _training(protocol: Protocol, records: Sequence[RunRecord]) -> str:
    """Optimiser, length, loss and which weights were scored."""
    trained = [record.training for record in records if record.training]
    if not trained:
        return ""
    rule, loss = protocol.optim, protocol.loss
    steps = sorted({each.steps for each in trained})
    length = f"{rule.epochs} epochs"
    if rule.max_steps is not None:
        length = f"{rule.max_steps} steps"
    elif len(steps) == 1 and not protocol.stop.early:
        length += f" ({steps[0]:,} steps)"
    if protocol.stop.early:
        length = f"at most {length}"
    weights = ", classes weighted by their share" if loss.class_weights != "none" else ""
    precision = protocol.run.precision
    return (
        f"All networks were trained for {length} with batches of {rule.batch} by "
        f"{_optimiser(rule)} on {_LOSSES[loss.name]}{weights}; auxiliary outputs count "
        f"{loss.aux_weight:g} each. Precision: {precision}. {_selection(protocol)} were "
        "scored; none were chosen by looking at test images."
    )


def _optimiser(rule: OptimRule) -> str:
    """Its name with its numbers and the schedule."""
    if rule.name == "adam":
        name, own = "Adam", f"betas {rule.betas[0]:g} and {rule.betas[1]:g}"
    else:
        kind = "Nesterov momentum" if rule.nesterov else "momentum"
        name, own = "stochastic gradient descent", f"{kind} {rule.momentum:g}"
    decay = "constant learning rate"
    if rule.schedule == "poly":
        decay = f"polynomial decay of power {rule.power:g} at every step"
    return f"{name} (learning rate {rule.lr:g}, weight decay {rule.weight_decay:g}, {own}; {decay})"


def _selection(protocol: Protocol) -> str:
    """Early stopping, and the beginning of the sentence that says which weights were scored."""
    rule = protocol.stop
    stopped = ""
    if rule.early:
        least = f" by more than {rule.min_delta:g}" if rule.min_delta else ""
        stopped = (
            f"A training ended early once its loss on held-out {_HELD_OUT[rule.validation_by]} "
            f"({100 * rule.validation:g} % of the training part) had not fallen{least} for "
            f"{rule.patience} epochs. "
        )
    best = protocol.run.select == "best-on-validation"
    return stopped + f"The weights {'of the lowest such loss' if best else 'after the last step'}"


def _scoring(protocol: Protocol) -> str:
    rule = protocol.score
    size = "the image's own size" if rule.size == "native" else f"{rule.size}×{rule.size} pixels"
    both = {
        "undefined": "An image in which both masks are empty has no Dice and is left out",
        "perfect": "An image in which both masks are empty scores as perfect",
    }[rule.both_empty]
    one = {
        "worst": "one empty mask alone gives Dice 0 and distances of the image's diagonal",
        "zero-all": "an empty prediction alone scores 0 in everything, distances too",
    }[rule.pred_empty]
    return f"Predictions were scored at {size}. {both}; {one}."


def _statistics(subject: Subject) -> str:
    analysis = subject.analysis
    resampled = analysis.resampled(METRICS["dice_patient"])
    if resampled is None or len(analysis.rows) < 2:
        return ""
    return (
        f"95 % intervals are from a paired bootstrap over {resampled.n} {UNITS[resampled.unit]} "
        "(10,000 resamples, the same for all networks, widened for their number); networks were "
        "compared by Friedman's test and by Wilcoxon signed-rank tests on patients' means with "
        "Holm's correction."
    )


def _software(records: Sequence[RunRecord]) -> str:
    versions = listed(sorted({record.code.version for record in records}))
    commits = listed(sorted({(record.code.git_commit or "unknown")[:7] for record in records}))
    torch = listed(sorted({record.env.packages.get("torch", "unknown") for record in records}))
    devices = sorted(
        {record.env.cpu if record.env.device == "cpu" else record.env.device for record in records}
    )
    return (
        f"Software: covbench {versions} (commit {commits}), PyTorch {torch}, on {listed(devices)}."
    )
