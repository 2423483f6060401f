"""Errors on the wire: the status code of each exception, and the one shape of every failure."""

from __future__ import annotations

import uuid
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from loopwright import errors
from loopwright.http.state import set_log_fields

log = structlog.get_logger()

STATUS: dict[type[errors.LoopwrightError], int] = {
    errors.InvalidInput: 400,
    errors.NotFound: 404,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.NotAudio: 415,
    errors.Impossible: 422,
    errors.Cancelled: 499,
    errors.TryLater: 503,
    errors.CheckpointError: 422,
}
"""A class that is not listed has the status of its nearest ancestor that is, or 500.

499 is nginx's code: the client closed the connection, or the server is stopping.
"""

INTERNAL_ERROR = "something went wrong in the server; the log has it under this request_id"


def error_response(error: errors.LoopwrightError, request_id: str) -> JSONResponse:
    """Return the reply to a request that failed with one of Loopwright's own errors."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    headers = dict[str, str]()
    if isinstance(error, errors.TryLater):
        headers["Retry-After"] = str(error.retry_after)
    body = _error_body(error.message, error.code, error.field, request_id)
    return JSONResponse(body | error.details, status, headers)


def internal_error(request_id: str) -> JSONResponse:
    """Return the reply to an exception that nothing handled: no traceback, only where to look."""
    return JSONResponse(_error_body(INTERNAL_ERROR, "internal_error", None, request_id), 500)


def install(app: FastAPI) -> None:
    """Install handlers for Loopwright's errors and for the framework's own."""
    app.add_exception_handler(errors.LoopwrightError, _on_loopwright_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_query)
    app.add_exception_handler(Exception, _on_bug)


async def _on_loopwright_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.LoopwrightError)
    set_log_fields(request, code=error.code, error=error.message)
    return error_response(error, request.state.request_id)


async def _on_bug(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    """Reply to a bug outside of all middleware, which the web server logs."""
    return internal_error(getattr(request.state, "request_id", uuid.uuid4().hex))


async def _on_invalid_query(request: Request, error: Exception) -> JSONResponse:
    """Reply to a wrong query parameter. The framework checks no more: bodies are ``body``'s."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    sentence = f"{name}: {str(first['msg']).lower()}, got {errors.shown(first['input'])}"
    return error_response(errors.InvalidInput(sentence, field=name), request.state.request_id)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Reply to the framework's own errors: an unknown path, a method that is not allowed."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            docs = f"{request.scope.get('root_path', '')}/docs"
            reason = f"there is no such endpoint; {docs} lists them"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            reason = f"the method must be {headers.get('Allow', 'another')}"
        case _:
            reason = str(error.detail)
    message = f"{request.method} {request.url.path}: {reason}"
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    body = _error_body(message, code, None, request.state.request_id)
    return JSONResponse(body, error.status_code, headers)


def _error_body(message: str, code: str, field: str | None, request_id: str) -> dict[str, object]:
    return {
        "success": False,
        "error": message,
        "code": code,
        "field": field,
        "request_id": request_id,
    }
