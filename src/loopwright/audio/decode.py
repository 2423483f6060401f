"""Bytes that somebody sent to stereo audio at a rate, with a bound on everything. Meant to run in a worker process.

Knows: formats, channels, rates, what can be wrong with a file. Does not know: requests, processes.
Every block is checked, folded down and resampled before the next is read, so memory does not grow with the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from loopwright.audio.loudness import is_silent
from loopwright.errors import LoopwrightError, NotAudio, TooLarge

Audio = NDArray[np.float32]

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 8
BLOCK_SECONDS = 1

FORMATS = "WAV, AIFF, FLAC, MP3 or OGG"

_H = 0.7071
"""Half the power: a channel that goes to both sides."""

# What each channel of a layout adds to left and right; the order of WAV files: FL FR FC LFE BL BR SL SR.
_FOLDS: dict[int, Sequence[tuple[float, float]]] = {
    1: [(1, 1)],
    2: [(1, 0), (0, 1)],
    3: [(1, 0), (0, 1), (_H, _H)],
    4: [(1, 0), (0, 1), (_H, 0), (0, _H)],
    5: [(1, 0), (0, 1), (_H, _H), (_H, 0), (0, _H)],
    6: [(1, 0), (0, 1), (_H, _H), (0, 0), (_H, 0), (0, _H)],
    7: [(1, 0), (0, 1), (_H, _H), (0, 0), (_H, _H), (_H, 0), (0, _H)],
    8: [(1, 0), (0, 1), (_H, _H), (0, 0), (_H, 0), (0, _H), (_H, 0), (0, _H)],
}


@dataclass(frozen=True)
class Decoded:
    """audio: [2, samples] at the rate asked for, no longer than asked for. channels, frames, rate: of the file."""

    audio: Audio
    channels: int
    frames: int
    rate: int

    @property
    def silent(self) -> bool:
        """Whether there is nothing to hear."""
        return is_silent(self.audio)


def decode(data: bytes, rate: int, *, keep_seconds: float, max_seconds: float, field: str = "audio_file") -> Decoded:
    """Decode a whole file to stereo at ``rate``, and keep the first ``keep_seconds``.

    Raises NotAudio for what is no audio, is not whole, or has samples that are no numbers; TooLarge for more than
    ``max_seconds`` or MAX_CHANNELS. Each names ``field``.
    """
    try:
        return _decode(data, rate, keep_seconds, max_seconds)
    except LoopwrightError as error:
        raise type(error)(f"{field} {error.message}", field=field) from None


def _decode(data: bytes, rate: int, keep_seconds: float, max_seconds: float) -> Decoded:
    if not data:
        raise NotAudio("is empty")
    _check_wav_size(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file, max_seconds)
            audio = _read(file, rate, keep_seconds, max_seconds)
            return Decoded(audio, file.channels, file.frames, file.samplerate)
    except soundfile.LibsndfileError as error:
        raise NotAudio(f"cannot be read as {FORMATS}: {error.error_string.rstrip('.').lower()}") from None


def _check_wav_size(data: bytes) -> None:
    """A WAV's header says how long the file is; less than that is a file that was cut off, or a lie."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE" or len(data) < 12:
        return
    position = 12
    while position + 8 <= len(data):
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if kind == b"data":
            have = len(data) - position - 8
            if size > have:
                raise NotAudio(f"is not whole: its header promises {size:,} bytes of audio, {have:,} are there")
            return
        position += 8 + size + size % 2


def _check_header(file: soundfile.SoundFile, max_seconds: float) -> None:
    if file.channels > MAX_CHANNELS:
        raise TooLarge(f"must have at most {MAX_CHANNELS} channels, got {file.channels}")
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise NotAudio(f"must have a sample rate from {MIN_RATE} to {MAX_RATE} Hz, got {file.samplerate}")
    if file.frames == 0:
        raise NotAudio("holds no samples")
    _check_length(file.frames / file.samplerate, max_seconds)


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise TooLarge(f"must be at most {max_seconds:g} seconds long, got {seconds:.0f}")


def _read(file: soundfile.SoundFile, rate: int, keep_seconds: float, max_seconds: float) -> Audio:
    keep = round(keep_seconds * rate)
    resampler = soxr.ResampleStream(file.samplerate, rate, 2, dtype="float32", quality="VHQ")
    kept: list[Audio] = []
    count = read = 0
    for block in _blocks(file):
        read += len(block)
        _check_length(read / file.samplerate, max_seconds)
        if count < keep:
            kept.append(resampler.resample_chunk(_stereo(block)))
            count += len(kept[-1])
    if read < file.frames:
        raise NotAudio(f"is not whole: its header promises {file.frames:,} samples, {read:,} could be decoded")
    kept.append(resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True))
    return np.ascontiguousarray(np.concatenate(kept)[:keep].T)


def _blocks(file: soundfile.SoundFile) -> Iterator[Audio]:
    """Blocks [samples, channels]. Raises NotAudio for samples that are no numbers."""
    while len(block := file.read(file.samplerate * BLOCK_SECONDS, dtype="float32", always_2d=True)):
        if not np.isfinite(block).all():
            raise NotAudio("has samples that are not finite numbers (NaN or infinity)")
        yield block


def _stereo(block: Audio) -> Audio:
    """[samples, channels] -> [samples, 2]; more than two channels are folded down, no louder than they were."""
    fold = np.array(_FOLDS[block.shape[1]], np.float32)
    folded: Audio = block @ (fold / np.maximum(np.abs(fold).sum(0), 1))
    return folded
