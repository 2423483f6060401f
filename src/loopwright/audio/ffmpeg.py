"""Files that only ffmpeg reads (AAC, WebM, WMA …), converted to WAV by it where it is installed.

ffmpeg is a program of its own and never part of this package. It is told which container it gets,
reads one file from a pipe, may open no other file, playlist or address, and is limited in time,
length and size. Meant to be called in a worker process, whose limit on memory it inherits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping

from loopwright.audio.index_first import caf_with_index_first, mp4_with_index_first
from loopwright.errors import NotAudio, TooLarge

MAX_WAV_BYTES = 600_000_000
"""The most that ffmpeg may write: half an hour of stereo at 44.1 kHz."""
CPU_SECONDS = 25
"""Less than a worker has for a file, so that a worker that is ended leaves no ffmpeg behind."""
EXTRA_SECONDS = 2
"""Decoded beyond the longest file that is accepted, so that a longer one is noticed."""

_MOVE_INDEX_FIRST: Mapping[str, Callable[[bytes], bytes]] = {
    "mov": mp4_with_index_first,
    "caf": caf_with_index_first,
}
"""By container, for those whose index may come last, where a reader of a pipe finds it too late."""


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg; None where it is not installed."""
    return shutil.which("ffmpeg")


def convert_to_wav(ffmpeg: str, data: bytes, demuxer: str, max_seconds: float) -> bytes:
    """Decode the first audio stream of a file to a WAV file of 32-bit floats.

    Args:
        ffmpeg: The path of the program.
        data: The file.
        demuxer: ffmpeg's name of its container; no other is tried.
        max_seconds: The longest file that is accepted.

    Returns:
        The file, up to EXTRA_SECONDS longer than ``max_seconds``.

    Raises:
        NotAudio: ffmpeg finds no audio, or does not finish.
        TooLarge: The audio is larger than MAX_WAV_BYTES.
    """
    command = [
        ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1",
        "-protocol_whitelist", "pipe", "-f", demuxer, "-i", "pipe:0",
        "-map", "0:a:0", "-map_metadata", "-1", "-t", f"{max_seconds + EXTRA_SECONDS:g}",
        "-fs", str(MAX_WAV_BYTES), "-c:a", "pcm_f32le", "-f", "wav", "pipe:1",
    ]  # fmt: skip
    if demuxer in _MOVE_INDEX_FIRST:
        data = _MOVE_INDEX_FIRST[demuxer](data)
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(data)
        source.seek(0)
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments, no shell
                command,
                stdin=source,
                stdout=target,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=CPU_SECONDS,
                preexec_fn=_limit_cpu_time if os.name == "posix" else None,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            raise NotAudio("could not be decoded: ffmpeg did not finish with it") from None
        target.seek(0)
        wav = target.read()
    if len(wav) >= MAX_WAV_BYTES:
        raise TooLarge(f"is longer than can be decoded ({MAX_WAV_BYTES // 1_000_000} MB as WAV)")
    # what was decoded before an error is not the whole file
    if done.returncode or not wav:
        raise NotAudio("could not be decoded: ffmpeg finds no audio in it, or it is damaged")
    return wav


def _limit_cpu_time() -> None:
    """Limit the processor time of ffmpeg, so that it ends even if its worker is gone."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
