"""`covbench check`: does a network keep the contract?"""

from __future__ import annotations

from typing import Annotated

import typer

from runners.cli import options
from zoo.errors import CovbenchError


def check(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="./my_net.py, ./my_net.py:MyNet, a name, or a selection."
        ),
    ],
    as_json: options.Json = False,
    limit: options.Limit = None,
) -> int:
    """Check networks against the contract, clause by clause; exit 1 where one is not kept."""
    from runners.trial import try_files
    from zoo.contract import check_model
    from zoo.selection import select

    try_files(models)
    rows = select(models)
    console = options.messages()
    found = []
    for row in rows:
        if console.is_terminal:
            console.print(f"Checking {row.label} ...", markup=False, highlight=False, end="\r")
        results = check_model(row)
        found += [(row.label, result) for result in results]
        if as_json:
            continue
        print(row.label)
        for result in results:
            word = "pass" if result.passed else "FAIL"
            print(f"  {word}  {result.clause}: {result.detail}")
    if as_json:
        options.print_json(
            {"name": name, "clause": each.clause, "passed": each.passed, "detail": each.detail}
            for name, each in found
        )
    broken = list(dict.fromkeys(name for name, result in found if not result.passed))
    if broken:
        clauses = sum(not result.passed for _, result in found)
        raise CovbenchError(
            f"{clauses} of {len(found)} clauses are not kept: {', '.join(broken)}.",
            "Each line that begins with FAIL says what to mend.",
        )
    if not as_json:
        print("The contract is kept.")
    return 0
