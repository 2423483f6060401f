"""``loopwright serve``."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

import structlog

from loopwright.errors import Conflict, InvalidInput, shown
from loopwright.generation.assemble import assemble, check, make_hub
from loopwright.http.app import create_app
from loopwright.http.server import make_server
from loopwright.loading.selection import select_model
from loopwright.runner.client import RunnerClient
from loopwright.settings import Settings
from loopwright.system.logs import configure_logs

log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until stopped.

    Raises:
        InvalidInput: Settings do not go together, or the host is not one of this machine.
        Conflict: The port is taken.
    """
    configure_logs(settings.log_level, settings.log_format)
    check(settings)
    server = make_server(create_app(settings, start_runner), settings)
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    log.info("listening", url=url_of(host, port, settings.root_path), docs="/docs")
    with suppress(KeyboardInterrupt):  # uvicorn raises it once more, when everything is closed
        server.run([listener])


def start_runner(settings: Settings) -> RunnerClient:
    """Return the service in a process of its own, which is started with the app."""
    standard = select_model(settings.model, make_hub(settings)).key
    return RunnerClient(settings, assemble, standard)


def url_of(host: str, port: int, root_path: str = "") -> str:
    """Return the address to open in a browser.

    IPv6 stands in brackets (RFC 3986, section 3.2.2).
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{root_path}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on, and every small reply waits 40 ms for an
    # acknowledgement
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror as error:
        reason = (error.strerror or "not found").lower()
        raise InvalidInput(
            f"--host must be an address or name of this machine, got {shown(host)}: {reason}",
            field="host",
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidInput(
                f"--host must be an address of this machine, got {shown(host)}", field="host"
            ) from None
        reason = (error.strerror or str(error)).lower()
        raise Conflict(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port",
            field="port",
        ) from None
    listener.listen(2048)
    return listener
