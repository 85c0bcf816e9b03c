"""Tasks in a plan: which runs a cascade needs, what is shared, what can't be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import prepare_dataset
from benchmark.datasets.inside import Cascade
from benchmark.protocols import load_protocol
from runners.plan import Plan, Resources, make_plan
from runners.stages import Ask
from zoo.errors import CovbenchError
from zoo.selection import select

SMOKE = load_protocol("smoke")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    prepare_dataset("phantom", root=root, size=32, patients=6, slices=2)
    source = tmp_path_factory.mktemp("source")
    for kind in ("images", "masks"):
        (source / kind).mkdir()
        for i in range(6):
            Image.fromarray(np.full((16, 16), i % 2, np.uint8)).save(source / kind / f"{i}.png")
    prepare_dataset("folder", source, as_name="no-lungs", root=root)
    return root


def plan(data: Path, models: str, *names: str, **more: Any) -> Plan:
    protocol = more.pop("protocol", SMOKE)
    where = Resources(data / "runs", data)
    return make_plan(select(models), list(names or ["phantom"]), protocol, where, **more)


def labels(made: Plan) -> list[str]:
    return [job.spec.title.split(" · ")[0] for job in made.jobs]


def test_a_cascade_comes_after_the_lungs_that_it_needs(data: Path) -> None:
    made = plan(data, "miniseg", ask=Ask("hierarchical"))
    *lungs, last = made.jobs
    assert [job.spec.inner for job in lungs] == [None, (1, 3), (2, 3), (3, 3)]
    assert {job.spec.task for job in lungs} == {"lung"}
    assert last.spec.task == "hierarchical"
    assert last.spec.needs == tuple(job.spec.id for job in lungs)
    assert [need.id for need in last.needs] == list(last.spec.needs)
    # Lungs are identified by their masks too, the infection by its own alone.
    assert last.spec.data_hash != lungs[0].spec.data_hash
    assert last.spec.data_hash == plan(data, "miniseg").jobs[0].spec.data_hash


def test_what_parts_leave_behind(data: Path) -> None:
    protocol = load_protocol("smoke", ["keep=none"])
    made = plan(data, "miniseg", ask=Ask("hierarchical"), protocol=protocol)
    assert [job.protocol.run.keep for job in made.jobs] == ["predictions"] * 4 + ["none"]
    both = load_protocol("smoke", ["keep=both"])
    made = plan(data, "miniseg", ask=Ask("hierarchical"), protocol=both)
    assert [job.protocol.run.keep for job in made.jobs] == ["both", *["predictions"] * 3, "both"]


def test_one_lung_network_serves_all_rows(data: Path) -> None:
    lung = select("enet")[0]
    made = plan(data, "miniseg,unet", ask=Ask("hierarchical", lung=lung))
    assert labels(made) == [
        *["enet (lung)"] * 4,
        "miniseg (hierarchical, lungs by enet)",
        "unet (hierarchical, lungs by enet)",
    ]
    cascades = made.jobs[-2:]
    assert cascades[0].spec.needs == cascades[1].spec.needs
    assert cascades[0].spec.cascade is not None
    assert cascades[0].spec.cascade.lung_source == made.jobs[0].spec.source


def test_variants_share_their_lungs(data: Path) -> None:
    one = plan(data, "miniseg", ask=Ask("hierarchical"))
    other = plan(data, "miniseg", ask=Ask("hierarchical", Cascade(mask="soft", dilation=2)))
    assert one.jobs[-1].spec.needs == other.jobs[-1].spec.needs
    assert one.jobs[-1].spec.id != other.jobs[-1].spec.id


def test_the_oracle_needs_no_run(data: Path) -> None:
    made = plan(data, "miniseg", ask=Ask("hierarchical", Cascade(lungs="truth")))
    (job,) = made.jobs
    assert job.spec.needs == ()
    assert job.spec.row == "miniseg (hierarchical, true lungs)"
    assert job.spec.cascade is not None and job.spec.cascade.lung_source


def test_a_row_that_is_a_cascade_by_name(data: Path) -> None:
    joined = select("raiunet")
    made = plan(data, "raiunet", joined=joined)
    assert labels(made)[0] == "raiunet"
    assert labels(made)[-1] == "raiunet (hierarchical)"
    assert len(made.jobs) == 6


def test_datasets_that_cannot_serve_are_left_out_once(data: Path) -> None:
    made = plan(data, "miniseg", "phantom", "no-lungs", ask=Ask("lung"))
    assert [job.spec.dataset for job in made.jobs] == ["phantom"]
    assert made.notes == ("no-lungs can't serve lung: left out.",)
    with pytest.raises(CovbenchError, match="no-lungs can serve infection, not lung"):
        plan(data, "miniseg", "no-lungs", ask=Ask("lung"))


@pytest.mark.parametrize(
    ("ask", "changes", "message"),
    [
        (Ask("lungs"), [], "task 'lungs'"),
        (Ask("multiclass"), ["outputs=sigmoid", "loss.name=bce-dice"], "one foreground class"),
        (Ask("hierarchical", Cascade(inner_folds=7)), [], "7 inner folds"),
    ],
)
def test_mistakes(data: Path, ask: Ask, changes: list[str], message: str) -> None:
    with pytest.raises(CovbenchError, match=message):
        plan(data, "miniseg", ask=ask, protocol=load_protocol("smoke", changes))
