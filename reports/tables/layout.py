"""Layouts: which columns a table has, in which order, units and digits; one TOML file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.metrics import METRICS, Metric
from benchmark.settings import parse_toml
from zoo.errors import CovbenchError, unknown
from zoo.limits import read_limited

_FOLDER = Path(__file__).parent / "layouts"
GENERAL = "general"
Value = Literal["params", "macs", "fps", "latency_ms", "runs", "inside_lung", "empty", "dataset"]


class LayoutColumn(BaseModel):
    """One column: a metric, another value of a row, or a column of a published table.

    Attributes:
        metric: Key of a metric, such as `dice_slice`.
        value: `params`, `macs`, `fps` and `latency_ms` (of a machine's profile), `runs`;
            `inside_lung` (of cascades), which appears where some row has it; or `empty`: images
            left out and penalised, two columns that appear where there are any.
        printed: A column of the published table, shown as it is printed there.
        title: Its head; the metric's own name where it is left out.
        percent: Whether a fraction is shown in percent.
        digits: Decimals.
        brief: Whether a terminal, which is narrow, shows it too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = ""
    value: Value | Literal[""] = ""
    printed: str = ""
    title: str = ""
    percent: bool = True
    digits: int = Field(default=2, ge=0, le=6)
    brief: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(map(bool, (self.metric, self.value, self.printed))) != 1:
            raise ValueError("a column has one of metric, value and printed")
        if self.metric and self.metric not in METRICS:
            raise ValueError(f"{self.metric} is no metric, such as dice_slice")
        return self

    @property
    def judged(self) -> Metric | None:
        """The metric of the column, if it has one."""
        return METRICS[self.metric] if self.metric else None


class Layout(BaseModel):
    """A table's form.

    Attributes:
        name: Its name.
        title: What it is a layout of.
        published: The published table whose rows it has, in their order; empty: all rows of a
            store, best first.
        label: Head of the first column.
        first: Column of the published table that stands in the first column; empty: the row's
            name.
        network: The network of published rows that name none.
        columns: Its columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    published: str = ""
    label: str = "Model"
    first: str = ""
    network: str = ""
    columns: tuple[LayoutColumn, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that it shows."""
        return tuple(each.judged for each in self.columns if each.judged)


def layout_names() -> tuple[str, ...]:
    """The layouts that covbench ships, the general one first."""
    names = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    return (GENERAL, *(name for name in names if name != GENERAL))


@cache
def load_layout(name: str) -> Layout:
    """A layout by its name, or from a TOML file.

    Args:
        name: One of `layout_names`, or a path that ends in .toml.

    Raises:
        CovbenchError: There is none, or the file is no layout.
    """
    own = name.endswith(".toml")
    if not own and name not in layout_names():
        raise unknown("layout", name, layout_names(), ", ".join(layout_names()))
    path = Path(name) if own else _FOLDER / f"{name}.toml"
    try:
        text = read_limited(path, "settings_bytes").decode()
        return Layout.model_validate({"name": path.stem, **parse_toml(text, str(path))})
    except OSError as error:
        raise CovbenchError(
            f"The layout {path} can't be read: {error.strerror}.",
            f"Give one of {', '.join(layout_names())}, or the path of a TOML file.",
        ) from error
    except UnicodeDecodeError as error:
        raise CovbenchError(f"{path} is no TOML: {error}.", "Mend the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CovbenchError(
            f"{path} is no layout: {where}: {first['msg']}.",
            'A column is [[columns]] with metric = "dice_slice", value = "params" or printed.',
        ) from error
