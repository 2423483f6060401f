"""The database: what is written is kept, what fails is undone, what is wrong is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import OperationalError

from loopwright.database import schema, tables
from loopwright.database.database import Database, open_database
from loopwright.errors import CheckpointError, Conflict, InvalidInput, StorageFailed


def used(owner: str, seconds: float = 1.0) -> Any:
    return insert(tables.usage).values(owner=owner, day="2026-01-01", seconds=seconds)


def writes(owner: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(used(owner))


def owners(connection: Connection) -> list[str]:
    return sorted(connection.scalars(select(tables.usage.c.owner)))


async def empty(database: Database) -> None:
    await database.write(lambda connection: connection.execute(tables.usage.delete()))


async def test_what_is_written_is_read(database: Database) -> None:
    await empty(database)
    await asyncio.gather(*(database.write(writes(f"o{number:03}")) for number in range(200)))
    assert await database.read(owners) == [f"o{n:03}" for n in range(200)]


async def test_work_that_fails_is_undone_alone(database: Database) -> None:
    await empty(database)

    def breaks(connection: Connection) -> None:
        connection.execute(used("broken"))
        raise ZeroDivisionError

    def twice(connection: Connection) -> None:
        connection.execute(used("twice"))
        connection.execute(used("twice"))

    results = await asyncio.gather(
        database.write(writes("before")),
        database.write(breaks),
        database.write(twice),
        database.write(writes("after")),
        return_exceptions=True,
    )
    assert isinstance(results[1], ZeroDivisionError)
    assert isinstance(results[2], StorageFailed)
    assert await database.read(owners) == ["after", "before"]


async def test_what_was_begun_is_written_though_nobody_waits(database: Database) -> None:
    await empty(database)
    writing = asyncio.ensure_future(database.write(writes("kept")))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    # one thread writes, in order: this comes after it
    await database.write(writes("last"))
    assert await database.read(owners) == ["kept", "last"]


async def test_a_full_disk_is_said_and_nothing_is_kept(database: Database) -> None:
    await empty(database)

    def full(_: Connection) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with pytest.raises(StorageFailed, match="database or disk is full"):
        await database.write(full)
    assert await database.read(owners) == []


def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, tables.metadata))

    assert database.submit(differences).result() == []


def test_the_latest_migration_is_the_last_file() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    assert scripts.get_current_head() == schema.LATEST


def test_an_open_folder_is_refused_to_another_server(tmp_path: Path) -> None:
    first = open_database(None, tmp_path)
    with pytest.raises(Conflict, match="--data-dir"):
        open_database(None, tmp_path)
    first.close()
    open_database(None, tmp_path).close()


@pytest.mark.parametrize("where", [0, 40, 8200])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, where: int) -> None:
    database = open_database(None, tmp_path)
    for number in range(100):
        database.submit(writes(f"o{number}")).result()
    database.close()
    path = tmp_path / "loopwright.sqlite"
    content = bytearray(path.read_bytes())
    content[where : where + 4000] = b"\xa5" * 4000
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged.*nothing was changed"):
        open_database(None, tmp_path)
    assert path.read_bytes() == content
    path.unlink()
    open_database(None, tmp_path).close()


async def test_the_file_is_made_for_one_writer_and_a_power_cut(tmp_path: Path) -> None:
    database = open_database(None, tmp_path)

    def pragmas(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await database.write(pragmas) == ["wal", 2, 1]
    database.close()


async def test_servers_that_share_a_database_have_its_time(database: Database) -> None:
    now = await database.read(lambda connection: connection.scalar(select(database.now())))
    assert isinstance(now, float)
    by_itself = await database.read(lambda connection: connection.scalar(select(func.now())))
    assert by_itself is not None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://a:secret@b/c", 'postgresql://USER:PASSWORD@HOST/NAME, got "mysql"'),
        ("secret", "what is set is no URL"),
    ],
)
def test_a_url_of_something_else_is_refused_and_not_shown(
    tmp_path: Path, url: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        open_database(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageFailed, match="LOOPWRIGHT_DATABASE_URL"):
        open_database("postgresql://a:secret@127.0.0.1:1/c", tmp_path)
