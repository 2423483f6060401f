"""The Python library, as programs use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import loopwright
from loopwright import api
from loopwright.errors import InvalidInput
from loopwright.generation.service import Service
from loopwright.kinds.table import KINDS
from loopwright.settings import Settings
from tests.fakes import FakeEngine, fake_service
from tests.sounds import encoded, tone
from tests.waiting import Gate

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def loops(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[loopwright.Loopwright]:
    def make(settings: Settings, *, at_once: bool) -> Service:
        return fake_service(lambda _: engine, settings=settings)

    monkeypatch.setattr(api, "assemble", make)
    with loopwright.Loopwright(riffs_dir=tmp_path) as loops:
        yield loops


def test_the_exported_names() -> None:
    for name in loopwright.__all__:
        assert getattr(loopwright, name) is not None
    assert set(loopwright.__all__) <= set(dir(loopwright))
    homes = set(loopwright._HOMES)
    assert homes | {"__version__"} == set(loopwright.__all__)
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        loopwright.generat  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, loopwright; print(sorted(set(sys.modules) & {'numpy', 'pydantic'}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_loop_is_an_array_with_its_rate_and_metadata(loops: loopwright.Loopwright) -> None:
    loop = loops.generate("techno drums 140bpm", bars=1, seed=7)
    assert (loop.audio.dtype, loop.audio.shape) == (np.dtype(np.float32), (2, 75600))
    assert (loop.sample_rate, loop.duration) == (44100, 75600 / 44100)
    assert (loop.metadata["seed"], loop.metadata["bars"]) == (7, 1)
    assert loop.metadata["detected_bpm"] == 140
    assert loop.warnings == tuple(loop.metadata["warnings"])
    assert repr(loop) == '<GeneratedAudio "techno drums 140bpm": 1 bars, 1.714 s>'


def test_the_metadata_makes_the_same_loop_again(loops: loopwright.Loopwright) -> None:
    loop = loops.generate("techno drums 140bpm", bars=1)
    again = loops.generate("techno drums 140bpm", bars=1, seed=loop.metadata["seed"])
    assert np.array_equal(loop.audio, again.audio)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_a_loop_is_saved_as_its_extension_says(
    loops: loopwright.Loopwright, tmp_path: Path, suffix: str
) -> None:
    loop = loops.generate("techno drums 140bpm", bars=1, bit_depth=32)
    path = loop.save(tmp_path / f"loop{suffix}")
    assert path.exists()
    audio, rate = soundfile.read(path)
    assert rate in {44100, 48000}
    assert len(audio) / rate >= loop.duration - 1e-3


def test_an_unknown_extension_is_refused(loops: loopwright.Loopwright, tmp_path: Path) -> None:
    loop = loops.generate("techno drums 140bpm", bars=1)
    with pytest.raises(InvalidInput, match=r'must end in \.wav, .* got "loop\.mp4"'):
        loop.save(tmp_path / "loop.mp4")


def test_a_stack_is_its_mix_and_its_parts(loops: loopwright.Loopwright) -> None:
    made = loops.generate_all("techno 140bpm", kind="stack", parts=["drums", "bass"], bars=1)
    assert [one.part for one in made] == ["mix", "drums", "bass"]


@pytest.mark.parametrize("form", ["path", "bytes", "array", "mono", "loop"])
def test_audio_to_start_from_may_come_in_many_forms(
    loops: loopwright.Loopwright, tmp_path: Path, form: str
) -> None:
    file = encoded(tone(440, 1))
    (tmp_path / "tone.wav").write_bytes(file)
    audio: Any = {
        "path": str(tmp_path / "tone.wav"),
        "bytes": file,
        "array": (tone(440, 1), 44100),
        "mono": (tone(440, 1)[0].tolist(), 48000),
        "loop": loops.generate("x 120bpm", bars=1),
    }[form]
    loop = loops.generate("techno drums 140bpm", bars=1, audio=audio, style_strength=0.5)
    assert loop.metadata["style_transfer"] is True
    assert loop.metadata["style_strength"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"kind": "song"}, r'kind must be one of audio, .*, got "song"'),
        ({"bar": 2}, "bar is no parameter of loop; it has align, "),
        ({"bars": 3}, "bars must be `auto`, 1, 2, 4 or 8, got 3"),
        ({"audio": "/nowhere.wav"}, "audio cannot be read: No such file or directory"),
        ({"audio": (np.zeros((100, 2)), 44100)}, r"with at most \d+ channels, got \[100, 2\]"),
        ({"audio": b"\x89PNG\r\n\x1a\n"}, "audio is a PNG image, not audio"),
        ({"kind": "inpaint", "from_bar": 1}, "audio_file is missing"),
        (
            {"kind": "stack", "audio": encoded(tone(440, 1))},
            "audio has no meaning for stack, which takes no audio",
        ),
    ],
)
def test_a_wrong_argument_is_named(
    loops: loopwright.Loopwright, arguments: dict[str, Any], part: str
) -> None:
    with pytest.raises(loopwright.LoopwrightError, match=part):
        loops.generate("techno drums 140bpm", **arguments)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InvalidInput, match='setting device cannot be "tpu"'):
        loopwright.Loopwright(device="tpu")
    with pytest.raises(InvalidInput, match="there is no setting modle"):
        loopwright.Loopwright(modle="pocket")


def test_every_kind_can_be_named(loops: loopwright.Loopwright) -> None:
    documented = re.findall(r"``([a-z-]+)``", (loops.generate.__doc__ or "").split("audio:")[0])
    assert set(documented) == {kind.name for kind in KINDS}


def test_threads_are_served_side_by_side(engine: FakeEngine, loops: loopwright.Loopwright) -> None:
    engine.gate = Gate(1)
    with ThreadPoolExecutor(2) as threads:
        made = [
            threads.submit(loops.generate, "techno 140bpm", bars=1, seed=seed) for seed in (1, 2)
        ]
        engine.gate.open()
        assert [one.result().metadata["seed"] for one in made] == [1, 2]


def test_a_closed_one_says_so(loops: loopwright.Loopwright) -> None:
    loops.close()
    loops.close()
    with pytest.raises(RuntimeError, match="closed"):
        loops.generate("techno drums 140bpm")
    assert "loopwright" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_and_saves_what_it_says(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "LOOPWRIGHT_MODEL": "pocket", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    named = set(re.findall(r'save\("([\w.]+)"\)', example.read_text()))
    assert named
    assert named <= {path.name for path in tmp_path.iterdir()}
