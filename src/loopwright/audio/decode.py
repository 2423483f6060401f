"""Bytes that somebody sent to stereo audio at a rate, with a bound on everything. Meant to run in a worker process.

A file is used to its real end, whatever its header says of its length; what was repaired, guessed
or left out is told in ``Decoded.notes``. Every block is checked, folded down and resampled before
the next is read, so memory does not grow with what is decoded.
Knows: channels, rates, what can be wrong with a file. Does not know: requests, processes; containers
are told apart by ``identify`` and put right by ``repair`` and ``mpeg``.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from loopwright.audio.ffmpeg import convert_to_wav, find_ffmpeg
from loopwright.audio.identify import FileKind, identify
from loopwright.audio.mpeg import counted_mp3, skip_id3
from loopwright.audio.promises import check_promise
from loopwright.audio.repair import (
    MP3_IN_WAV,
    Repaired,
    repaired_aiff,
    repaired_flac,
    repaired_ogg,
    repaired_w64,
    repaired_wav,
)
from loopwright.audio.types import Audio
from loopwright.errors import LoopwrightError, NotAudio, TooLarge

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 8
BLOCK_SECONDS = 1
LOUDEST_SAMPLE = 1e6
"""120 dB over full scale; what is louder is no audio, and overflows when it is resampled or squared."""
UNKNOWN_FRAMES = 1 << 40
"""libsndfile says a number above this where it does not know how long a file is."""

INPUT_FORMATS = "WAV, AIFF, FLAC, MP3 or OGG"
FFMPEG_FORMATS = "M4A, WebM, WMA and others"

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
    """A file, decoded.

    Args:
        audio: [2, samples] at the rate asked for, no longer than asked for.
        channels: of the file.
        frames: samples per channel in the file, at its own rate.
        rate: of the file, in Hz.
        extension: what a file of its kind is called by, with the dot.
        notes: what was repaired, guessed or left out, each to be read after the file's name.
    """

    audio: Audio
    channels: int
    frames: int
    rate: int
    extension: str
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The length of the file."""
        return self.frames / self.rate


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read once from its beginning to its end.

    python-soundfile seeks after every read of a file that can seek, which libsndfile cannot do in
    a FLAC that does not say how long it is.
    """

    def seekable(self) -> bool:
        """Return False: nothing here goes back."""
        return False


def decode(
    data: bytes, rate: int, *, keep_seconds: float, max_seconds: float, field: str = "audio_file"
) -> Decoded:
    """Decode a whole file to stereo at ``rate``, and keep the first ``keep_seconds``.

    Raises:
        NotAudio: for what is no audio, is not whole, cannot be read here, or has samples that are
            no numbers. The message begins with ``field`` and names what was sent.
        TooLarge: for more than ``max_seconds`` or MAX_CHANNELS.
    """
    try:
        return _decode(data, rate, keep_seconds, max_seconds)
    except LoopwrightError as error:
        raise type(error)(f"{field} {error.message}", field=field) from None


def _decode(data: bytes, rate: int, keep_seconds: float, max_seconds: float) -> Decoded:
    if not data:
        raise NotAudio("is empty")
    data = data[skip_id3(data) :]
    kind = identify(data)
    whole = _whole_file(data, kind, max_seconds)
    try:
        file = _ForwardFile(io.BytesIO(whole.data))
    except soundfile.LibsndfileError:
        # a container that libsndfile knows with a codec that it does not, or a damaged one
        if kind.demuxer is None or kind.reader == "ffmpeg":
            raise NotAudio(f"is {kind.name}, but a damaged one; {_what_to_send()}") from None
        whole = _by_ffmpeg(data, kind, max_seconds)
        file = _ForwardFile(io.BytesIO(whole.data))
    with file:
        _check_header(file, max_seconds)
        promised = whole.promised
        if kind.reader == "libsndfile" and 0 < file.frames < UNKNOWN_FRAMES:
            promised = file.frames
        if promised is not None:
            _check_length(promised / file.samplerate, max_seconds)
        blocks = itertools.chain(
            _blocks(file, whole.promised), *(_blocks_of_link(link, file) for link in whole.links)
        )
        audio, frames = _read(blocks, file.samplerate, rate, keep_seconds, max_seconds)
        notes = whole.notes
        if promised is not None and not whole.links:
            notes += check_promise(promised, frames, "samples", at_least=0)
        return Decoded(audio, file.channels, frames, file.samplerate, kind.extension, notes)


def _whole_file(data: bytes, kind: FileKind, max_seconds: float) -> Repaired:
    """Return a file as libsndfile reads all of it. Raises NotAudio for what no reader here takes."""
    if kind.reader == "none":
        raise NotAudio(f"is {kind.name}, not audio; {_what_to_send()}")
    if kind.reader == "ffmpeg":
        return _by_ffmpeg(data, kind, max_seconds)
    repair = _REPAIRS.get(kind.reader, Repaired)
    return repair(data)


def _repaired_wav(data: bytes) -> Repaired:
    wav = repaired_wav(data)
    if wav.codec != MP3_IN_WAV:
        return wav
    mp3, notes = counted_mp3(wav.data)
    return Repaired(mp3, (*wav.notes, *notes))


_REPAIRS: Mapping[str, Callable[[bytes], Repaired]] = {
    "wav": _repaired_wav,
    "aiff": repaired_aiff,
    "flac": repaired_flac,
    "mp3": lambda data: Repaired(*counted_mp3(data)),
    "ogg": repaired_ogg,
    "w64": repaired_w64,
}
"""What is done to a file of each kind before libsndfile reads it; nothing where none is named."""


def _blocks_of_link(data: bytes, first: soundfile.SoundFile) -> Iterator[Audio]:
    """Blocks of a file that goes on where another ended. Raises NotAudio where it is another kind."""
    try:
        file = _ForwardFile(io.BytesIO(data))
    except soundfile.LibsndfileError:
        raise NotAudio("is several files one after the other, and one of them is damaged") from None
    with file:
        if (file.samplerate, file.channels) != (first.samplerate, first.channels):
            raise NotAudio(
                "is several files of different sample rates or channels; send one of them"
            )
        yield from _blocks(file)


def _by_ffmpeg(data: bytes, kind: FileKind, max_seconds: float) -> Repaired:
    ffmpeg = find_ffmpeg()
    if ffmpeg is None or kind.demuxer is None:
        raise NotAudio(
            f"is {kind.name}, which this server reads only where ffmpeg is installed; "
            f"{_what_to_send()}, or install ffmpeg on the server"
        )
    try:
        wav = convert_to_wav(ffmpeg, data, kind.demuxer, max_seconds)
    except NotAudio as error:
        raise NotAudio(f"is {kind.name} that {error.message}; {_what_to_send()}") from None
    return Repaired(repaired_wav(wav).data)  # ffmpeg, too, leaves placeholders in what it pipes


def _what_to_send() -> str:
    return (
        f"send {INPUT_FORMATS}"
        if find_ffmpeg() is None
        else f"send {INPUT_FORMATS.replace(' or', ',')}, {FFMPEG_FORMATS}"
    )


def _check_header(file: soundfile.SoundFile, max_seconds: float) -> None:
    if file.channels > MAX_CHANNELS:
        raise TooLarge(f"must have at most {MAX_CHANNELS} channels, got {file.channels}")
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise NotAudio(
            f"must have a sample rate from {MIN_RATE} to {MAX_RATE} Hz, got {file.samplerate}"
        )
    if file.frames == 0:
        raise NotAudio("holds no samples")
    if file.frames < UNKNOWN_FRAMES:
        _check_length(file.frames / file.samplerate, max_seconds)


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise TooLarge(f"must be at most {max_seconds:g} seconds long, got {seconds:.0f}")


def _read(
    blocks: Iterable[Audio], file_rate: int, rate: int, keep_seconds: float, max_seconds: float
) -> tuple[Audio, int]:
    """Return the beginning as stereo at a rate, and how many samples per channel there are."""
    keep = round(keep_seconds * rate)
    resampler = soxr.ResampleStream(file_rate, rate, 2, dtype="float32", quality="VHQ")
    kept: list[Audio] = []
    count = read = 0
    for block in blocks:
        read += len(block)
        _check_length(read / file_rate, max_seconds)
        if count < keep:
            kept.append(resampler.resample_chunk(_stereo(block)))
            count += len(kept[-1])
    if read == 0:
        raise NotAudio("holds no samples")
    kept.append(resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True))
    audio = np.ascontiguousarray(np.concatenate(kept)[:keep].T)
    if not audio.size:
        raise NotAudio(f"is too short: its {read} samples at {file_rate} Hz are none at {rate} Hz")
    return audio, read


def _blocks(file: soundfile.SoundFile, promised: int | None = None) -> Iterator[Audio]:
    """Blocks [samples, channels].

    Args:
        file: where they come from.
        promised: samples per channel, where a header says so: behind them a decoder may find what it
            cannot decode, such as a tag.

    Raises:
        NotAudio: for samples that are no numbers, and for damage before what was promised.
    """
    read = 0
    while True:
        size = file.samplerate * BLOCK_SECONDS
        if promised is not None and read < promised:
            size = min(size, promised - read)
        try:
            block = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if promised is not None and read >= promised:
                return
            where = f"after {read / file.samplerate:.2f} seconds"
            raise NotAudio(
                f"is damaged: it cannot be decoded {where}; send the whole file"
            ) from None
        if not len(block):
            return
        if not np.isfinite(block).all():
            raise NotAudio("has samples that are not finite numbers (NaN or infinity)")
        if np.abs(block).max() > LOUDEST_SAMPLE:
            raise NotAudio("has samples a million times louder than full scale, which are no audio")
        read += len(block)
        yield block


def _stereo(block: Audio) -> Audio:
    """Fold [samples, channels] down to [samples, 2], no louder than it was."""
    fold = np.array(_FOLDS[block.shape[1]], np.float32)
    folded: Audio = block @ (fold / np.maximum(np.abs(fold).sum(0), 1))
    return folded
