"""A small server that speaks the hub's protocol, for the real huggingface_hub client."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
TOKEN = "hf_good"


@dataclass
class HubServer:
    """A hub that speaks the real one's protocol.

    Args:
        repos: Files by repository.
        gated: Repositories that want TOKEN.
        refused: Repositories whose licence nobody accepted.
        broken: Files of which only the first half is sent.
        downloads: What was sent, in order.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    downloads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = self

        class Handler(_Handler):
            hub = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def publish(self, repo: str, folder: Path, *, under: str = "") -> None:
        """Put a folder's files into a repository."""
        files = self.repos.setdefault(repo, {})
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files[under + path.relative_to(folder).as_posix()] = path.read_bytes()

    def reset(self) -> None:
        """An empty hub."""
        for content in (self.repos, self.gated, self.refused, self.broken, self.downloads):
            content.clear()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/"))
        else:
            repo, _, rest = path.strip("/").partition("/resolve/")
            self._file(repo, rest.partition("/")[2], with_body=with_body)

    def _info(self, path: str) -> None:
        repo = path.partition("/revision/")[0].partition("/tree/")[0]
        if self._refuse(repo):
            return
        files = self.hub.repos[repo]
        if "/tree/" in path:
            content: object = [
                {"type": "file", "path": name, "oid": _etag(data), "size": len(data)}
                for name, data in files.items()
            ]
        else:
            content = {
                "id": repo,
                "modelId": repo,
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in files],
            }
        self._send(
            200, json.dumps(content).encode(), {"Content-Type": "application/json"}, with_body=True
        )

    def _file(self, repo: str, name: str, *, with_body: bool) -> None:
        if self._refuse(repo):
            return
        data = self.hub.repos[repo].get(name)
        if data is None:
            self._send(
                404,
                b"",
                {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT},
                with_body=False,
            )
            return
        headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if with_body:
            self.hub.downloads.append(f"{repo}/{name}")
        self._send(200, data, headers, with_body=with_body, broken=name in self.hub.broken)

    def _refuse(self, repo: str) -> bool:
        if repo not in self.hub.repos:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"}, with_body=False)
        elif repo in self.hub.refused:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body=False)
        elif repo in self.hub.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b"", {"X-Error-Code": "GatedRepo"}, with_body=False)
        else:
            return False
        return True

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        *,
        with_body: bool,
        broken: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if broken else body)
        if broken and with_body:
            self.wfile.flush()
            self.close_connection = True


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
