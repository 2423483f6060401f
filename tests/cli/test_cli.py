"""The command line, as a user types it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import soundfile
import structlog

from loopwright import __version__
from loopwright.audio.formats.table import FORMATS
from loopwright.cli.flags import flag_of
from loopwright.cli.main import main
from loopwright.cli.serve import url_of
from loopwright.errors import one_of
from loopwright.kinds.table import KINDS
from loopwright.settings import Settings
from tests.sounds import tone
from tests.waiting import PATIENCE

EXTENSIONS = one_of(row.extension for row in FORMATS.values())
DRUMS = "aggressive techno drums 140bpm"
HTTP_ONLY = {"prompt", "return_format", "model_type"}
WITHOUT_FLAGS = {"hf_token"}
"""A secret on the command line would be seen by everyone on the machine."""


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loopwright", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=cwd,
        env={
            "COLUMNS": "200",
            "PATH": "",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HF_HOME": str(cwd or "/nonexistent"),
            "TERM": "dumb",
        },
    )


Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """Run a command that fails, in this process, and return what it prints."""

    def run_here(arguments: list[str], exit_code: int = 2) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["loopwright", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == exit_code
        return capfd.readouterr().err

    log_config, handlers = structlog.get_config(), logging.root.handlers[:]
    yield run_here
    # the command logs to what is captured, which is closed when the test is over
    structlog.configure(**log_config)
    logging.root.handlers[:] = handlers


def test_a_loop_is_saved_and_described(tmp_path: Path) -> None:
    done = run(
        "generate",
        DRUMS,
        "--bars",
        "2",
        "--seed",
        "7",
        "--model",
        "pocket",
        "-o",
        "drums.wav",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    info = soundfile.info(tmp_path / "drums.wav")
    assert (info.frames, info.samplerate, info.channels) == (151200, 44100, 2)
    for part in ("140 bpm", "151200 samples", "drums.wav", "pocket on cpu", "seed"):
        assert part in done.stderr


def test_without_an_output_the_file_has_a_telling_name(tmp_path: Path) -> None:
    assert run("generate", "rain", "--seconds", "1.5", "--seed", "3", cwd=tmp_path).returncode == 0
    (file,) = tmp_path.glob("*.wav")
    assert re.fullmatch(r"stable_audio_3_\d+\.wav", file.name)
    assert soundfile.info(file).frames == 66150


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["generate", "drums"], "no tempo: put one into the prompt"),
        (["generate", DRUMS, "--bars", "3"], 'bars must be `auto`, 1, 2, 4 or 8, got "3"'),
        (
            ["generate", DRUMS, "-o", "/nowhere/x.wav"],
            '--output must lie in a folder that exists, got "/nowhere"',
        ),
        (
            ["generate", DRUMS, "-o", "x.mp4"],
            f'--output must end in {EXTENSIONS}, got "x.mp4"',
        ),
        (
            ["generate", DRUMS, "--model", "/nowhere"],
            "model must be a folder with model_config.json, got ",
        ),
        (["generate", DRUMS, "--device", "tpu"], 'setting device cannot be "tpu"'),
        (
            ["generate", DRUMS, "--audio", "/nowhere.wav"],
            '--audio cannot be read: No such file or directory, "/nowhere.wav"',
        ),
        (
            ["generate", DRUMS, "--kind", "song"],
            "kind must be one of audio, style-transfer, loop, loop-with-riff, loop-guided, "
            'variation, inpaint, stack, got "song"',
        ),
        (
            ["generate", DRUMS, "--from-bar", "2"],
            "--from-bar has no meaning with --kind loop; it has with inpaint",
        ),
        (
            ["generate", DRUMS, "--kind", "stack", "--audio", "x.wav"],
            "--audio cannot be read: No such file or directory",
        ),
        (
            ["generate", DRUMS, "--kind", "inpaint"],
            "audio_file is missing",
        ),
        (
            ["generate", DRUMS, "--n", "2", "-o", "x.wav"],
            '--output must be a folder, since there are several files, got "x.wav"',
        ),
        (["serve", "--port", "99999"], "setting port cannot be 99999"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], part: str, refused: Refused
) -> None:
    said = refused(arguments)
    assert part in said
    assert "Traceback" not in said


def test_an_error_ends_the_process_with_its_exit_code(tmp_path: Path) -> None:
    done = run("generate", "drums", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().startswith("error: no tempo: put one into the prompt")
    assert "Traceback" not in done.stderr


def test_info_says_which_model_and_why(tmp_path: Path) -> None:
    done = run("info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not in the hub's cache and HF_TOKEN is not set" in " ".join(done.stdout.split())
    assert "no voices" in " ".join(done.stdout.split())


def test_version() -> None:
    assert run("--version").stdout.strip() == __version__


def test_every_setting_is_a_flag_of_serve() -> None:
    said = run("serve", "--help").stdout
    for name in {field.name for field in fields(Settings)} - WITHOUT_FLAGS:
        assert f"--{name.replace('_', '-')}" in said
        assert f"LOOPWRIGHT_{name.upper()}" in said.replace("\n", "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--engine", "openvino", "--device", "cuda"], 'device must be auto or cpu, got "cuda"'),
        (
            ["--model", "./no-such-folder"],
            'model must be a folder with model_config.json, got "./no-such-folder"',
        ),
        (
            ["--host", "no such host"],
            '--host must be an address or name of this machine, got "no such host"',
        ),
        (["--host", "192.0.2.1"], '--host must be an address of this machine, got "192.0.2.1"'),
        (["--engine", "abacus"], 'setting engine cannot be "abacus"'),
    ],
)
def test_a_server_that_cannot_be_is_refused_in_a_sentence(
    flags: list[str], said: str, refused: Refused
) -> None:
    error = refused(["serve", "--port", "0", *flags])
    assert said in error
    assert "Traceback" not in error


def test_the_address_of_a_server_can_be_opened() -> None:
    assert url_of("::", 9157) == "http://[::]:9157"
    assert url_of("127.0.0.1", 8005, "/audio") == "http://127.0.0.1:8005/audio"


def test_an_error_of_a_field_names_its_flag(refused: Refused) -> None:
    assert (
        'seconds_total must be a number of seconds above 0, got "-1" (the flag is --seconds)'
    ) in refused(["generate", DRUMS, "--seconds", "-1"])


def test_an_audio_file_is_called_by_its_flag(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = refused(["generate", DRUMS, "--audio", "x.png"], exit_code=1)
    assert "error: --audio is a PNG image, not audio; send WAV," in said


def test_every_field_of_every_kind_is_a_flag() -> None:
    said = run("generate", "--help").stdout
    for kind in KINDS:
        assert kind.name in said
        for name in kind.request.model_fields.keys() - HTTP_ONLY:
            assert f"{flag_of(name)} " in said


def test_a_stack_is_saved_in_a_folder(tmp_path: Path) -> None:
    asked = ["generate", "house 124bpm", "--kind", "stack", "--parts", "drums,bass", "--bars", "1"]
    done = run(*asked, "--seed", "6", "--model", "pocket", "-o", "parts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert names == {f"stack_{part}_124bpm_1bars_6.wav" for part in ("mix", "drums", "bass")}
    assert {soundfile.info(tmp_path / "parts" / name).frames for name in names} == {85355}


def test_seconds_of_audio_are_a_style_transfer(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(440, 1).T, 44100)
    asked = ["generate", "warm pads", "--seconds", "1", "--audio", "tone.wav", "--seed", "3"]
    done = run(*asked, "--model", "pocket", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("style_transfer_3_*.wav"))
