"""The databases that tests of this folder run with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.database.database import Database, open_database
from tests.postgres import PROGRAMS, WHY_SKIPPED, postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    if not PROGRAMS:
        pytest.skip(WHY_SKIPPED)
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_database(url, tmp_path)
    yield opened
    opened.close()
