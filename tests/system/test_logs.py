"""The form of log lines: ours, and those of libraries."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from loopwright.system.logs import configure_logs
from tests.server import serving

log = structlog.get_logger()


Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _usual_logs() -> Iterator[None]:
    yield
    configure_logs("warning", "console")


def lines_of(said: Said) -> list[dict[str, Any]]:
    """The lines of the log, read as JSON."""
    return [json.loads(line) for line in said.readouterr().err.splitlines()]


def test_lines_of_libraries_have_the_form_of_ours(capsys: Said) -> None:
    configure_logs("info", "json")
    with structlog.contextvars.bound_contextvars(request_id="one"):
        log.warning("ours")
        logging.getLogger("some.library").warning("%d of theirs", 3)
    ours, theirs = lines_of(capsys)
    assert (theirs["event"], theirs["logger"]) == ("3 of theirs", "some.library")
    assert (ours["level"], ours["request_id"]) == (theirs["level"], theirs["request_id"])
    assert ours["timestamp"] <= theirs["timestamp"]


def test_an_exception_is_a_field_of_its_line(capsys: Said) -> None:
    configure_logs("info", "json")
    try:
        raise ValueError("upside down")
    except ValueError as error:
        log.error("ours", exc_info=error)
        logging.getLogger("uvicorn.error").exception("theirs")
    for line in lines_of(capsys):
        assert line["level"] == "error"
        assert "ValueError: upside down" in line["exception"]


def test_what_libraries_say_of_themselves_is_left_out_but_migrations(capsys: Said) -> None:
    configure_logs("info", "json")
    for name in ("uvicorn.error", "alembic.runtime.migration", "some.library"):
        logging.getLogger(name).info("began")
        logging.getLogger(name).debug("details")
    assert [line["logger"] for line in lines_of(capsys)] == ["alembic.runtime.migration"]
    configure_logs("debug", "json")
    logging.getLogger("uvicorn.error").info("began")
    logging.getLogger("some.library").info("began")
    assert [line["logger"] for line in lines_of(capsys)] == ["uvicorn.error"]
    configure_logs("error", "json")
    logging.getLogger("alembic").info("began")
    logging.getLogger("some.library").warning("look")
    assert lines_of(capsys) == []


def test_a_warning_of_python_is_a_line(capsys: Said) -> None:
    configure_logs("info", "json")
    warnings.warn("this is old", DeprecationWarning, stacklevel=1)
    (line,) = lines_of(capsys)
    assert "DeprecationWarning: this is old" in line["event"]


def test_every_line_of_a_server_is_json_and_health_is_asked_in_silence() -> None:
    log: list[str] = []
    with serving("--log-format", "json", "--log-level", "info", log=log) as client:
        client.get("/health", headers={"x-request-id": "health"})
        client.get("/model/info", headers={"x-request-id": "info"})
    lines = [json.loads(line) for line in log]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    requests = [line["request_id"] for line in lines if line["event"] == "request"]
    assert requests == ["info"]
