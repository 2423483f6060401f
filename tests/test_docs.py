"""What the README and the guides say, run as they say it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
import soundfile
from tools.docs_site import api_lines, on_page_markdown

from loopwright.audio.seam import measure_seam
from loopwright.generation.assemble import assemble
from loopwright.http.app import create_app
from loopwright.music.tempo import loop_samples
from loopwright.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for pattern in ("*.md", ".github/*.md", "bench/*.md", "docs/*.md", "training/*.md")
    for path in sorted(ROOT.glob(pattern))
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/http.md", 10)])
def test_every_curl_of_a_page_in_its_order(
    server: httpx.Client,
    tmp_path: Path,
    page: str,
    count: int,
) -> None:
    curls = [block for block in blocks(page, "sh") if block.startswith("curl")]
    assert len(curls) >= count
    for block in curls:
        script = block.replace("http://localhost:8005", str(server.base_url).rstrip("/"))
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (block, done.stderr)
        for name in re.findall(r"-o (\S+)", block):
            assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md"])
def test_the_python_of_a_page_runs_in_its_order(page: str, tmp_path: Path) -> None:
    script = "\n".join(blocks(page, "python"))
    assert "loopwright.generate(" in script
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "LOOPWRIGHT_MODEL": "pocket"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in re.findall(r'save\("(.+?)"\)', script):
        assert (tmp_path / name).stat().st_size > 10_000


def test_every_command_line_is_known() -> None:
    lines = [
        line
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("loopwright ")
    ]
    assert len(lines) >= 2
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", "loopwright", line.split()[1], "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for flag in re.findall(r" (--?[a-z-]+)", line):
            assert flag in done.stdout, line


def test_the_loops_to_hear_are_what_the_readme_says() -> None:
    rows = re.findall(r"\| `(.+?)` \| (\d) \((.+?) s\) \| \[.+?\]\((.+?\.mp3)\)", README)
    assert len(rows) == 2
    for prompt, bars, seconds, path in rows:
        tempo = re.search(r"(\d+)bpm", prompt)
        assert tempo is not None
        audio, rate = soundfile.read(ROOT / path, dtype="float32")
        assert len(audio) == loop_samples(int(bars), Fraction(tempo[1]), rate)
        assert abs(len(audio) / rate - float(seconds)) < 0.005
        assert 0.5 < abs(audio).max() < 1
        # what repeats with no click: no step at the seam that stands out among those around it
        assert measure_seam(audio.T, rate).jump < 6, path


def test_every_setting_is_in_the_readme() -> None:
    for name in (field.name for field in fields(Settings)):
        assert f"`{name}`" in README or name.upper() in README


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page, text in PAGES.items():
        code = "\n".join([*re.findall(r"`(make [^`]*)`", text), *blocks(page, "sh")])
        for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page, target)


def test_files_linked_exist() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", text):
            if not target.startswith("http"):
                assert (ROOT / page).parent.joinpath(target).exists(), (page, target)


def test_the_modules_that_the_architecture_names_exist() -> None:
    """A name is a path below the repository or the package, and may end in a class."""
    names = set(re.findall(r"`([a-z_]+/[\w/.]*)`", PAGES["ARCHITECTURE.md"]))
    (diagram,) = re.findall(r"```\n(.*?)```", PAGES["ARCHITECTURE.md"], re.DOTALL)
    names |= set(re.findall(r"\w+/\w*", diagram))
    assert len(names) > 40
    for name in names:
        path = re.sub(r"\.[A-Z]\w*$", "", name).rstrip("/")
        places = [
            folder / f"{path}{ending}"
            for folder in (ROOT, ROOT / "src/loopwright", ROOT / "src/loopwright/loading")
            for ending in ("", ".py")
        ]
        assert any(place.exists() for place in places), name


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
