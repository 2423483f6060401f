"""Errors on the wire: the one place where an exception becomes a status code, and the one shape of every failure."""

from __future__ import annotations

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
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.NotAudio: 415,
    errors.Impossible: 422,
    errors.Cancelled: 499,
    errors.TryLater: 503,
    errors.CheckpointError: 422,
}
"""The nearest class up the tree counts. 499, nginx's code: the client is gone, or the server is stopping."""

INTERNAL_ERROR = "something went wrong in the server; the log has it under this request_id"


def status_of(error: errors.LoopwrightError) -> int:
    """The HTTP status of an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_response(error: errors.LoopwrightError, request_id: str) -> JSONResponse:
    """The contract's error shape."""
    status = status_of(error)
    headers = (
        {"Retry-After": str(error.retry_after)} if isinstance(error, errors.TryLater) else None
    )
    return JSONResponse(
        _shape(error.message, error.code, error.field, request_id) | error.details, status, headers
    )


def internal_error(request_id: str) -> JSONResponse:
    """The reply to what should not have happened: no trace, only where to look."""
    return JSONResponse(_shape(INTERNAL_ERROR, "internal_error", None, request_id), 500)


def install(app: FastAPI) -> None:
    """Give the app the handlers for our errors and for the framework's own (unknown path, wrong method)."""
    app.add_exception_handler(errors.LoopwrightError, _ours)
    app.add_exception_handler(HTTPException, _frameworks)
    app.add_exception_handler(RequestValidationError, _query)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.LoopwrightError)
    set_log_fields(request, code=error.code, error=error.message)
    return error_response(error, request.state.request_id)


async def _query(request: Request, error: Exception) -> JSONResponse:
    """A parameter of the address; bodies are read by ``body`` and ``request``."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    sentence = f"{name}: {str(first['msg']).lower()}, got {errors.shown(first['input'])}"
    return error_response(errors.InvalidInput(sentence, field=name), request.state.request_id)


async def _frameworks(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    sentence = f"{request.method} {request.url.path}: {_why(request, error)}"
    return JSONResponse(
        _shape(sentence, code, None, request.state.request_id),
        error.status_code,
        headers=dict(error.headers or {}),
    )


def _why(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is no such endpoint; {request.scope.get('root_path', '')}/docs lists them"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"the method must be {(error.headers or {}).get('Allow', 'another')}"
    return str(error.detail)


def _shape(message: str, code: str, field: str | None, request_id: str) -> dict[str, object]:
    return {
        "success": False,
        "error": message,
        "code": code,
        "field": field,
        "request_id": request_id,
    }
