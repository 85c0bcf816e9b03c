"""The command line: one file a verb. Heavy imports wait until a verb runs."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from typing import Any

import typer

from runners.cli import (
    cancel,
    check,
    choose,
    compare,
    data,
    doctor,
    evaluate,
    export,
    import_,
    listing,
    logs,
    new,
    predict,
    pretrain,
    profile,
    report,
    row,
    run,
    status,
    trace,
)
from zoo.errors import CovbenchError, one_line
from zoo.limits import kept

# Newer Typer carries its own copy of Click, so its exceptions are reached through Typer.
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="covbench",
    help="Train, measure and compare medical segmentation networks under one protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("cancel")(cancel.cancel)
app.command("pretrain")(pretrain.pretrain)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("profile")(profile.profile)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("trace")(trace.trace)
app.command("row")(row.row)
app.command("choose")(choose.choose)
app.command("export")(export.export)
app.command("import")(import_.import_)
app.command("models")(listing.models)
app.command("datasets")(listing.datasets)
app.command("protocols")(listing.protocols)
app.command("check")(check.check)
app.command("new")(new.new)
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line and end the process.

    Exit codes: 0 done, 1 wrong use, 2 some runs failed or were cancelled, 3 a report was refused
    for its faults, 130 interrupted.
    """
    warnings.formatwarning = _warning
    sys.exit(run_cli(sys.argv[1:]))


def run_cli(arguments: list[str]) -> int:
    """Run one command and return its exit code; a user's mistake is told in two lines."""
    with kept():  # --limit holds for one command
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="covbench", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            print(error.format_message())
            return 0
        _two_lines(" ".join(error.format_message().split()), _usage_hint(error))
    except (typer.Abort, KeyboardInterrupt):
        print("Interrupted. The same command continues where it stopped.", file=sys.stderr)
        return 130
    except CovbenchError as error:
        _two_lines(error.problem, error.remedy)
        return error.exit_code
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _two_lines(*_of_system(error))
    return 1


def _two_lines(problem: str, remedy: str) -> None:
    print(f"{problem}\n{remedy}", file=sys.stderr)


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A library's warning in a line, since it may quote anyone's names."""
    return one_line(f"{filename}:{lineno}: {category.__name__}: {message}") + "\n"


def _usage_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See `{context.command_path if context else 'covbench'} --help`."


def _of_system(error: OSError) -> tuple[str, str]:
    """Two lines for what the operating system refused."""
    where = f" ({error.filename})" if error.filename else ""
    problem = f"{error.strerror or error}{where}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return problem, "Free some space, then run the same command again; what is recorded stays."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return problem, "Choose a folder that you may write to (--out, COVBENCH_DATA)."
    return problem, "Check the path and the file system, then run the same command again."
