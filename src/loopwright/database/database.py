"""The database: one thread that writes, any number that read.

What waits to be written is committed together, so that a hundred requests at once wait for a few
flushes of the disk, not for a hundred.
Knows: SQLite, Postgres, transactions. Does not know: what is in the tables.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Float,
    NullPool,
    cast,
    create_engine,
    event,
    extract,
    func,
    literal,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError

from loopwright.database.schema import upgrade
from loopwright.errors import CheckpointError, Conflict, InvalidInput, StorageFailed, shown

T = TypeVar("T")

MAX_COMMITTED_TOGETHER = 100
LOCK_SECONDS = 10.0
"""How long SQLite waits for a lock of its own; there is one writer, so that it hardly ever does."""

SIGNS_OF_DAMAGE = ("not a database", "malformed", "unsupported file format")
"""What SQLite says of a file that is damaged."""


class Database:
    """An open database.

    Args:
        engine: Its connections.
        reader: Connections that only read; the same engine on Postgres.
        lock: Held while it is open; None: others may use it at the same time.
    """

    def __init__(self, engine: Engine, reader: Engine, lock: FileLock | None) -> None:
        self._engine = engine
        self._reader = reader
        self._lock = lock
        self.is_shared = lock is None
        self._waiting: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None]
        self._waiting = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="database", daemon=True)
        self._writer.start()

    def now(self) -> ColumnElement[float]:
        """Return the time in seconds since 1970: the database's own where servers share it.

        Their clocks may differ.
        """
        if self.is_shared:
            return cast(extract("epoch", func.clock_timestamp()), Float)
        return literal(time.time())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do work in a transaction; what it wrote is on the disk when this returns.

        Once begun it is done, even where the caller is cancelled meanwhile.

        Args:
            work: Is called with a connection, in the writer's thread. What it raises undoes it.

        Raises:
            StorageFailed: The database refuses, such as for a full disk.
        """
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Do work as ``write`` does, for callers without an event loop."""
        result: Future[T] = Future()
        # a caller that is cancelled does not take back what is to be written
        result.set_running_or_notify_cancel()
        self._waiting.put((work, result))
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read, in a thread. Raises StorageFailed where the database refuses."""
        return await asyncio.to_thread(self._read, work)

    def close(self) -> None:
        """Write what waits, and close."""
        self._waiting.put(None)
        self._writer.join()
        self._reader.dispose()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise _failed(error, "read") from error

    def _write_all(self) -> None:
        """Write until the database is closed; the writer's thread."""
        is_open = True
        while is_open:
            batch = [self._waiting.get()]
            while len(batch) < MAX_COMMITTED_TOGETHER and batch[-1] is not None:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            is_open = batch[-1] is not None
            self._commit([entry for entry in batch if entry is not None])

    def _commit(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        """Do all work of a batch in one transaction; what fails alone is undone alone."""
        done = list[tuple[Future[Any], Any]]()
        try:
            with self._engine.begin() as connection:
                for work, result in batch:
                    try:
                        with connection.begin_nested():
                            done.append((result, work(connection)))
                    except SQLAlchemyError as error:
                        result.set_exception(_failed(error, "written"))
                    except Exception as error:
                        result.set_exception(error)
        except SQLAlchemyError as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(_failed(error, "written"))
            return
        for result, value in done:
            result.set_result(value)


def open_database(url: str | None, folder: Path) -> Database:
    """Open a database, which is made or brought up to date where it has to be.

    Args:
        url: Of Postgres; None: SQLite in the folder.
        folder: Where SQLite's file is.

    Raises:
        InvalidInput: The URL is none of Postgres, or its driver is not installed.
        Conflict: Another server uses the folder.
        CheckpointError: The file is damaged.
        StorageFailed: The database cannot be reached or written.
    """
    if url is None:
        return _open_sqlite(folder)
    engine = _postgres_engine(url)
    try:
        with engine.begin() as connection:
            # servers that start at once take turns with the migrations
            connection.execute(func.pg_advisory_xact_lock(0x100B).select())
            upgrade(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        reason = _reason(error)
        raise StorageFailed(f"the database of LOOPWRIGHT_DATABASE_URL: {reason}") from error
    return Database(engine, engine, None)


def _postgres_engine(url: str) -> Engine:
    allowed = "database_url must be postgresql://USER:PASSWORD@HOST/NAME"
    try:
        parsed = make_url(url)
    except ArgumentError:
        # not shown, since it may hold a password
        raise InvalidInput(f"{allowed}; what is set is no URL", field="database_url") from None
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise InvalidInput(f"{allowed}, got {shown(parsed.drivername)}", field="database_url")
    try:
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ModuleNotFoundError:
        raise InvalidInput(
            "database_url needs the extra `postgres`: pip install 'loopwright[postgres]'",
            field="database_url",
        ) from None


def _open_sqlite(folder: Path) -> Database:
    path = folder / "loopwright.sqlite"
    lock = FileLock(folder / "server.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(
            f"another server keeps its jobs in {folder}; choose another folder with --data-dir, "
            "or share a Postgres database (LOOPWRIGHT_DATABASE_URL)",
            field="data_dir",
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StorageFailed(f"data_dir {folder} cannot be used: {reason}") from error
    writer, reader = _sqlite_engine(path, "IMMEDIATE"), _sqlite_engine(path, "DEFERRED")
    try:
        with writer.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise DatabaseError(None, None, ValueError(f"malformed: {found}"))
            upgrade(connection)
    except DatabaseError as error:
        writer.dispose()
        lock.release()
        if any(words in str(error) for words in SIGNS_OF_DAMAGE):
            raise CheckpointError(
                f"{path} is damaged ({_reason(error)}); nothing was changed. Put a copy of it back "
                "from a backup, or move it away to begin with an empty one"
            ) from error
        raise StorageFailed(f"{path} cannot be used: {_reason(error)}") from error
    return Database(writer, reader, lock)


def _sqlite_engine(path: Path, mode: str) -> Engine:
    """Return SQLite's connections to a file, whose transactions begin in a mode.

    ``IMMEDIATE`` takes the lock for writing at once: a transaction that reads first could not get
    it once another has written.
    """
    is_writer = mode == "IMMEDIATE"
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False},
        **({"pool_size": 1, "max_overflow": 0} if is_writer else {"poolclass": NullPool}),
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # or Python's library begins transactions by itself
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _failed(error: SQLAlchemyError, done: str) -> StorageFailed:
    return StorageFailed(f"the database could not be {done}: {_reason(error)}")


def _reason(error: SQLAlchemyError) -> str:
    """Return the first line of what the driver says, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].lower()
