"""How log lines look: one configuration per process, for our lines and those of libraries.

Lines that are written on behalf of a request have its ``request_id``: it is bound where the request
comes in (``structlog.contextvars``), and bound again in the process that generates.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

LIBRARY_LEVELS = {"alembic": "INFO", "uvicorn": "WARNING"}
"""The least severe lines of a library that are worth reading; of all others: warnings."""


def configure_logs(level: str, style: str) -> None:
    """Log to stderr.

    Args:
        level: The least severe level that is logged, such as ``info``.
        style: ``console`` for lines that people read, ``json`` for lines that programs read.
    """
    last_processors: list[Any]
    if style == "json":
        # JSON has no place for a traceback but a field, which is text
        last_processors = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        last_processors = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    first_processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    levels = logging.getLevelNamesMapping()
    least_severe = levels[level.upper()]
    structlog.configure(
        processors=[*first_processors, *last_processors],
        wrapper_class=structlog.make_filtering_bound_logger(least_severe),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # libraries log through the standard library
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(
        formatter(
            foreign_pre_chain=[*first_processors, structlog.stdlib.add_logger_name],
            processors=[formatter.remove_processors_meta, *last_processors],
        )
    )
    logging.basicConfig(level=max(logging.WARNING, least_severe), handlers=[handler], force=True)
    for name, usual in LIBRARY_LEVELS.items():
        is_debugging = least_severe <= logging.DEBUG
        least_of_library = logging.DEBUG if is_debugging else max(levels[usual], least_severe)
        logging.getLogger(name).setLevel(least_of_library)
    # a program that reads JSON trips over the text of a warning
    logging.captureWarnings(style == "json")
