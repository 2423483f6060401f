"""What the README says, run as it says it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from tools.docs_site import api_lines, on_page_markdown

from loopwright.generation.assemble import assemble
from loopwright.http.app import create_app
from loopwright.settings import Settings
from tests.test_end_to_end import server  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CURLS = [block for block in BLOCKS if block.startswith("curl")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_curl_of_the_readme_in_its_order(server: httpx.Client, tmp_path: Path) -> None:  # noqa: F811
    assert len(CURLS) >= 6
    for block in CURLS:
        script = block.replace("http://localhost:8005", str(server.base_url).rstrip("/"))
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (block, done.stderr)
        for name in re.findall(r"-o (\S+)", block):
            assert (tmp_path / name).stat().st_size > 10_000


def test_the_command_lines_of_the_readme_are_known() -> None:
    block = next(block for block in BLOCKS if "loopwright generate" in block)
    for line in block.splitlines():
        command = line.split()[1]
        done = subprocess.run(
            [sys.executable, "-m", "loopwright", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for flag in re.findall(r" (--?[a-z-]+)", line):
            assert flag in done.stdout


def test_every_setting_is_in_the_readme() -> None:
    for name in (field.name for field in fields(Settings)):
        assert f"`{name}`" in README or name.upper() in README


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (ROOT / target).exists(), target


def test_the_api_page_has_every_endpoint_and_every_field() -> None:
    document = create_app(Settings(), assemble).openapi()
    page = "\n".join(api_lines(document))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"## `{method.upper()} {path}`" in page
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                for name in media["schema"]["properties"]:
                    assert f"| `{name}` |" in page, (path, name)
    guided = page.partition("## `POST /generate/loop-guided`")[2].partition("\n## ")[0]
    assert "| `steps` | integer | `50` |" in guided.replace(" from 1 to 10000", "")
    assert "| `bars` |" not in guided  # which /generate/loop has alike


def test_links_to_loops_have_a_player_on_the_site() -> None:
    link = "Listen to [techno](docs/techno-drums.mp3) and [text](docs/pocket.md)."
    assert on_page_markdown(link).count('<audio controls loop preload="none" src="docs/') == 1
