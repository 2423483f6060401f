"""How log lines look: one configuration per process."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


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
    least_severe = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last_processors,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least_severe),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # libraries log through the standard library; only their warnings are worth a line
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
