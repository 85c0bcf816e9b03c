"""`covbench doctor`: what this machine offers, and what to do about the rest."""

from __future__ import annotations

from runners.cli import options
from runners.cli.tables import print_table
from zoo.errors import CovbenchError


def doctor(as_json: options.Json = False) -> int:
    """Look at this machine and say what to do; exit 1 where runs would fail."""
    from runners.doctor import examine

    findings = examine()
    if as_json:
        options.print_json(finding.as_dict() for finding in findings)
    else:
        print_table(
            ("what", "found", "to do"),
            [(finding.name, finding.found, finding.todo) for finding in findings],
        )
    broken = [finding for finding in findings if finding.state == "broken"]
    if broken:
        raise CovbenchError(
            f"Runs would fail here: {', '.join(finding.name for finding in broken)}.",
            f"First: {broken[0].todo}.",
        )
    return 0
