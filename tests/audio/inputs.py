"""Audio files as real programs write them, and how much of each is used.

``python -m tests.audio.inputs`` writes ``docs/audio-input.md``; a test holds it to what is true.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from unittest import mock

import numpy as np

from loopwright.audio.decode import decode
from loopwright.errors import NotAudio, TooLarge
from tests.sounds import RATE, encoded, tone

PAGE = Path(__file__).parents[2] / "docs" / "audio-input.md"

FRAMES = 2 * RATE
HEADER_SAMPLES = 45
"""More than a header of 44 bytes, heard as audio, makes of any codec here."""
ENCODER_SILENCE = 4700
"""The most samples (107 ms) that a lossy encoder adds at both ends and no field counts."""
DECODER_DELAY = 1100
"""The most samples that a decoder may remove at the start where no field counts them."""
TOOLS = ("ffmpeg", "sox", "lame")

REPAIRED = "all of it, with a warning"
ALL, WITH_SILENCE = "all of it", "all of it, and the silence its encoder added"


def missing_tools() -> list[str]:
    """Return the programs that write these files and are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


@cache
def source() -> bytes:
    """Return two seconds of stereo as a WAV file."""
    sides = [tone(440, 2, channels=1), tone(660, 2, channels=1)]
    return encoded(np.concatenate(sides))


def piped(*command: str) -> bytes:
    """Return what a program writes to a pipe, where it cannot go back to fill in a length."""
    return subprocess.run(command, input=source(), capture_output=True, check=True).stdout


def ffmpeg_file(suffix: str, *arguments: str) -> bytes:
    """Return what ffmpeg writes to a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        ffmpeg = ("ffmpeg", "-v", "error", "-i", "pipe:0")
        subprocess.run(
            [*ffmpeg, *arguments, str(path)], input=source(), capture_output=True, check=True
        )
        return path.read_bytes()


def ffmpeg_pipe(*arguments: str) -> bytes:
    """Return what ffmpeg writes to a pipe."""
    return piped("ffmpeg", "-v", "error", "-i", "pipe:0", *arguments, "-")


def resized(data: bytes, name: bytes, size: int, order: str = "<") -> bytes:
    """Return a file with another size in the header of a chunk.

    A small number that is not 0 is added to the size that is there.
    """
    at = data.index(name) + 4
    own = struct.unpack_from(f"{order}I", data, at)[0]
    value = own + size if abs(size) < 1000 and size else size
    return data[:at] + struct.pack(f"{order}I", value & 0xFFFFFFFF) + data[at + 4 :]


def without_xing(data: bytes) -> bytes:
    """Return an MP3 file without the frame that holds its tag, as the encoders of browsers do."""
    from loopwright.audio.mpeg import find_first_frame

    first = find_first_frame(data)
    assert first is not None
    return data[first.at + first.size :]


def with_frames_counted(data: bytes, more: int) -> bytes:
    """Return an MP3 file whose tag counts more frames than there are."""
    at = data.index(b"Info") + 8
    (count,) = struct.unpack_from(">I", data, at)
    return data[:at] + struct.pack(">I", count + more) + data[at + 4 :]


def unpadded_name(data: bytes) -> bytes:
    """Return an AIFF file with a chunk of odd length and no byte of padding."""
    at = data.index(b"SSND")
    whole = data[:at] + b"NAME" + struct.pack(">I", 3) + b"abc" + data[at:]
    return whole[:4] + struct.pack(">I", len(whole) - 8) + whole[8:]


@dataclass(frozen=True)
class Input:
    """A file of the table.

    Args:
        container: Of the file.
        codec: Of the file.
        length: What its header says about its length.
        make: Writes it.
        result: How much of it is used.
    """

    container: str
    codec: str
    length: str
    make: Callable[[], bytes]
    result: str

    @cached_property
    def data(self) -> bytes:
        """The file, written once."""
        return self.make()


def flac() -> bytes:
    return encoded(np.ascontiguousarray(tone(440, 2)), kind="FLAC")


def aiff() -> bytes:
    return encoded(tone(440, 2), kind="AIFF")


def mp3(*arguments: str) -> bytes:
    return ffmpeg_file(".mp3", *arguments)


WAV_SIZES = [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 1, 8, 36, 44, -1, -8, -44]

INPUTS = [
    *[Input("WAV", name, "right",
            lambda codec=codec: ffmpeg_file(".wav", "-c:a", codec), ALL)  # type: ignore[misc]
      for name, codec in [("PCM, 8 bits", "pcm_u8"), ("PCM, 16 bits", "pcm_s16le"),
                          ("PCM, 24 bits", "pcm_s24le"), ("PCM, 32 bits", "pcm_s32le"),
                          ("float, 32 bits", "pcm_f32le"), ("float, 64 bits", "pcm_f64le"),
                          ("A-law", "pcm_alaw"), ("µ-law", "pcm_mulaw")]],
    *[Input("WAV", "PCM, 16 bits", f"{size:+d} bytes" if 0 < abs(size) < 1000 else f"{size:#x}",
            lambda size=size: resized(source(), b"data", size), REPAIRED)  # type: ignore[misc]
      for size in WAV_SIZES],
    Input("WAV", "PCM, 16 bits", "ffmpeg to a pipe", lambda: ffmpeg_pipe("-f", "wav"), REPAIRED),
    Input("WAV", "PCM, 16 bits", "SoX to a pipe",
          lambda: piped("sox", "-t", "wav", "-", "-t", "wav", "-"), ALL),
    Input("WAV", "PCM, 16 bits", "half of the file is missing",
          lambda: source()[: len(source()) // 2], "refused"),
    Input("WAV", "ADPCM (Microsoft, IMA)", "right",
          lambda: ffmpeg_file(".wav", "-c:a", "adpcm_ima_wav"), WITH_SILENCE),
    Input("WAV", "MP3", "right", lambda: ffmpeg_file(".wav", "-c:a", "libmp3lame"), WITH_SILENCE),
    Input("WAV", "AC-3", "right", lambda: ffmpeg_file(".wav", "-c:a", "ac3"), WITH_SILENCE),
    Input("WAV (RF64)", "PCM, 16 bits", "right",
          lambda: ffmpeg_file(".wav", "-rf64", "always"), ALL),
    Input("Wave64", "PCM, 16 bits", "right", lambda: ffmpeg_file(".w64"), ALL),
    Input("Wave64", "PCM, 16 bits", "ffmpeg to a pipe",
          lambda: ffmpeg_pipe("-f", "w64"), REPAIRED),
    Input("AIFF", "PCM, 16 bits", "right", aiff, ALL),
    Input("AIFF", "PCM, 16 bits", "a chunk of odd length without padding",
          lambda: unpadded_name(aiff()), ALL),
    Input("AIFF", "PCM, 16 bits", "0", lambda: resized(aiff(), b"SSND", 0, ">"), REPAIRED),
    Input("AIFF", "PCM, 16 bits", "ffmpeg to a pipe", lambda: ffmpeg_pipe("-f", "aiff"), REPAIRED),
    Input("AIFF", "PCM, 16 bits", "half of the file is missing",
          lambda: aiff()[: len(aiff()) // 2], "refused"),
    Input("AIFF-C", "float, 32 bits", "right",
          lambda: ffmpeg_file(".aif", "-c:a", "pcm_f32be"), ALL),
    Input("FLAC", "FLAC", "right", flac, ALL),
    Input("FLAC", "FLAC", "ffmpeg to a pipe", lambda: ffmpeg_pipe("-f", "flac"), ALL),
    Input("FLAC", "FLAC", "an ID3 tag before it",
          lambda: b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + flac(), ALL),
    Input("FLAC", "FLAC", "half of the file is missing",
          lambda: flac()[: len(flac()) // 2], "refused"),
    Input("MP3", "constant bit rate", "Info tag of LAME", mp3, ALL),
    Input("MP3", "variable bit rate", "Xing tag of LAME", lambda: mp3("-q:a", "4"), ALL),
    Input("MP3", "constant bit rate", "no tag (browsers)",
          lambda: without_xing(mp3()), WITH_SILENCE),
    Input("MP3", "variable bit rate", "no tag (browsers)",
          lambda: without_xing(mp3("-q:a", "4")), WITH_SILENCE),
    Input("MP3", "constant bit rate", "LAME to a pipe",
          lambda: piped("lame", "--quiet", "-", "-"), WITH_SILENCE),
    Input("MP3", "variable bit rate", "LAME to a pipe",
          lambda: piped("lame", "--quiet", "-V2", "-", "-"), WITH_SILENCE),
    Input("MP3", "constant bit rate", "ffmpeg to a pipe",
          lambda: ffmpeg_pipe("-f", "mp3"), WITH_SILENCE),
    Input("MP3", "constant bit rate", "SoX to a pipe",
          lambda: piped("sox", "-t", "wav", "-", "-t", "mp3", "-"), WITH_SILENCE),
    Input("MP3", "22.05 kHz", "no tag (browsers)",
          lambda: without_xing(mp3("-ar", "22050")), WITH_SILENCE),
    Input("MP3", "constant bit rate", "a tag that counts a frame too many",
          lambda: with_frames_counted(mp3(), 1), REPAIRED),
    Input("MP3", "constant bit rate", "begins amid a frame",
          lambda: without_xing(mp3())[100:], WITH_SILENCE),
    Input("MP3", "constant bit rate", "zeros after an ID3 tag",
          lambda: b"ID3\4\0\0\0\0\0\x0a" + bytes(1000) + without_xing(mp3()), WITH_SILENCE),
    Input("MP3", "constant bit rate", "with a tag, half is missing",
          lambda: mp3()[: len(mp3()) // 2], "refused"),
    Input("MP3", "MPEG layer II", "–", lambda: ffmpeg_file(".mp2"), WITH_SILENCE),
    Input("Ogg", "Vorbis", "right", lambda: ffmpeg_file(".ogg", "-c:a", "libvorbis"), ALL),
    Input("Ogg", "Opus", "right", lambda: ffmpeg_file(".opus", "-c:a", "libopus"), ALL),
    Input("Ogg", "FLAC", "right", lambda: ffmpeg_file(".oga", "-c:a", "flac"), ALL),
    Input("Ogg", "Speex", "right",
          lambda: ffmpeg_file(".ogg", "-c:a", "libspeex", "-ar", "16000"), ALL),
    Input("AU", "PCM, 16 bits", "ffmpeg to a pipe", lambda: ffmpeg_pipe("-f", "au"), ALL),
    Input("CAF", "PCM, 16 bits", "right", lambda: ffmpeg_file(".caf", "-c:a", "pcm_s16le"), ALL),
    Input("CAF", "Apple Lossless", "right", lambda: ffmpeg_file(".caf", "-c:a", "alac"), ALL),
    Input("M4A", "AAC", "index behind the audio", lambda: ffmpeg_file(".m4a"), WITH_SILENCE),
    Input("M4A", "Apple Lossless", "index behind the audio",
          lambda: ffmpeg_file(".m4a", "-c:a", "alac"), ALL),
    Input("MP4", "AAC", "in fragments",
          lambda: ffmpeg_file(".mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"),
          WITH_SILENCE),
    Input("3GP", "AAC", "right", lambda: ffmpeg_file(".3gp", "-c:a", "aac"), WITH_SILENCE),
    Input("QuickTime", "AAC", "right", lambda: ffmpeg_file(".mov"), WITH_SILENCE),
    Input("WebM", "Opus", "right", lambda: ffmpeg_file(".webm"), ALL),
    Input("WebM", "Opus", "ffmpeg to a pipe (MediaRecorder)",
          lambda: ffmpeg_pipe("-f", "webm"), ALL),
    Input("AAC (ADTS)", "AAC", "–", lambda: ffmpeg_file(".aac"), WITH_SILENCE),
    Input("WMA", "WMA 2", "right", lambda: ffmpeg_file(".wma"), WITH_SILENCE),
    Input("WavPack", "WavPack", "right", lambda: ffmpeg_file(".wv"), ALL),
    Input("True Audio", "True Audio", "right", lambda: ffmpeg_file(".tta"), ALL),
    Input("AC-3", "AC-3", "–", lambda: ffmpeg_file(".ac3"), WITH_SILENCE),
    Input("FLV", "AAC", "–", lambda: ffmpeg_file(".flv", "-c:a", "aac"), WITH_SILENCE),
    Input("MPEG-TS", "AAC", "–", lambda: ffmpeg_file(".ts", "-c:a", "aac"), WITH_SILENCE),
]  # fmt: skip


def outcome(data: bytes) -> str:
    """Return how much of a file is used, in the words of the table."""
    try:
        decoded = decode(data, RATE, keep_seconds=12, max_seconds=600)
    except (NotAudio, TooLarge):
        return "refused"
    extra = decoded.frames * RATE / decoded.rate - FRAMES
    if abs(extra) < HEADER_SAMPLES:
        used = ALL
    elif -DECODER_DELAY < extra < ENCODER_SILENCE:
        used = WITH_SILENCE
    else:
        used = f"{decoded.seconds:.3f} s of 2"
    return f"{used}, with a warning" if decoded.notes else used


def reader_of(data: bytes) -> str:
    """Return who reads a file: ``ffmpeg`` if it is refused without it."""
    with mock.patch("loopwright.audio.decode.find_ffmpeg", return_value=None):
        return "ffmpeg" if outcome(data) == "refused" else "built in"


def row(file: Input) -> str:
    """Return the row of a file in the table."""
    result = outcome(file.data)
    reader = "–" if result == "refused" else reader_of(file.data)
    return f"| {file.container} | {file.codec} | {file.length} | {result} | {reader} |"


def page() -> str:
    """Return the table, from files that are written now."""
    head = "| container | codec | length in the header | what is used | read by |"
    return "\n".join([head, "|---|---|---|---|---|", *map(row, INPUTS)])


if __name__ == "__main__":
    before, _, _ = PAGE.read_text().partition("| container |")
    PAGE.write_text(f"{before}{page()}\n")
