"""The three engines as one fixture; each cluster is brought up once and taken down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.executors.base import Executor
from tests.runners.engines.places import Place, place, why_not


@pytest.fixture(scope="module", params=["local", "slurm", "ray"])
def engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    reason = why_not(request.param)
    if reason:
        pytest.skip(reason)
    with place(request.param, tmp_path_factory.mktemp("place")) as found:
        yield found


@pytest.fixture
def make(engines: Place, tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Makes engines of one store for toys; what they started is ended after the test."""
    made = []

    def build(**needs: object) -> Executor:
        made.append(engines.engine(tmp_path, **needs))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for each in made:
        each.cancel()
        each.close()
