"""Whose word counts for where a request comes from."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request

from loopwright.errors import InvalidInput
from loopwright.http.app import create_app
from loopwright.http.server import make_server
from loopwright.http.state import client_of
from loopwright.settings import Settings
from tests.fakes import make_fake_service
from tests.http.running import running

FORWARDED = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}


def add_whoami(app: FastAPI) -> None:
    async def whoami(request: Request) -> list[str]:
        return [client_of(request), request.url.scheme]

    app.add_api_route("/whoami", whoami)


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        ("127.0.0.1,::1", ["198.51.100.7", "https"]),
        ("127.0.0.0/8", ["198.51.100.7", "https"]),
        ("*", ["198.51.100.7", "https"]),
        ("203.0.113.9, 10.0.0.0/8", ["127.0.0.1", "http"]),
        ("", ["127.0.0.1", "http"]),
    ],
)
async def test_headers_of_proxies_count_where_the_proxy_is_allowed(
    allowed: str, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own, which must not count
    async with running(None, add_whoami, forwarded_allow_ips=allowed) as here:
        assert (await here.client.get("/whoami", headers=FORWARDED)).json() == seen


@pytest.mark.parametrize("allowed", ["proxy", "10.0.0.1/8", "*,127.0.0.1", "300.0.0.1"])
def test_what_is_no_address_of_a_proxy_is_refused(allowed: str) -> None:
    made = Settings(forwarded_allow_ips=allowed)
    with pytest.raises(InvalidInput, match="forwarded_allow_ips must be addresses") as caught:
        make_server(create_app(made, make_fake_service), made)
    assert caught.value.field == "forwarded_allow_ips"
