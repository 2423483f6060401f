"""The tables. A change here needs a migration beside it (``migrations/versions``).

Times are seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite counts up by itself only in a column of exactly this type
_Number = BigInteger().with_variant(Integer, "sqlite")

jobs = Table(
    "jobs",
    metadata,
    # in the order of acceptance, whatever the clock says
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("owner", String, nullable=False),  # who may read it
    Column("client", String, nullable=False),  # whose share of the server's time it takes
    Column("kind", String, nullable=False),
    Column("request", JSON, nullable=False),  # with its seed drawn
    Column("warnings", JSON, nullable=False),
    Column("upload", JSON),  # the source audio's file, name and field
    Column("is_detached", Boolean, nullable=False),  # runs on though nobody waits for it
    Column("idempotency_key", String),
    Column("request_hash", String),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("lease_until", Float),  # until then, no other server takes it
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("step", Integer, nullable=False, default=0),
    Column("steps", Integer, nullable=False, default=0),
    Column("error", JSON),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("version", BigInteger, nullable=False),  # grows with every change of any job
    UniqueConstraint("owner", "idempotency_key"),
    Index("jobs_by_state", "state", "number"),
    Index("jobs_by_owner", "owner", "number"),
    Index("jobs_by_version", "version"),
)

takes = Table(
    "takes",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("file", String, nullable=False),  # its name in the store
    Column("sha256", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("facts", JSON, nullable=False),  # all else that a finished take has
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("scope", String, nullable=False),
    Column("sha256", String, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

usage = Table(
    "usage",
    metadata,
    Column("owner", String, primary_key=True),
    Column("day", String, primary_key=True),  # in UTC
    Column("seconds", Float, nullable=False),
)
