"""From the bytes of a file that somebody sent to stereo audio. Meant to run in a worker process.

A file is used to its real end, whatever its header says about its length; what was repaired,
guessed or left out is told in ``Decoded.notes``. Every block is checked, mixed down and resampled
before the next is read, so memory does not grow with the length of a file.
Knows: channels, sample rates, what can be wrong with a file. Does not know: requests, processes.
``identify`` recognises containers; ``repair`` and ``mpeg`` put them right.
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
from loopwright.audio.header_length import check_header_length
from loopwright.audio.identify import FileKind, identify
from loopwright.audio.mpeg import repair_mp3, skip_id3
from loopwright.audio.repair import (
    MP3_IN_WAV,
    Repaired,
    repair_aiff,
    repair_flac,
    repair_ogg,
    repair_w64,
    repair_wav,
)
from loopwright.audio.types import Audio
from loopwright.errors import LoopwrightError, NotAudio, TooLarge

MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_CHANNELS = 8
BLOCK_SECONDS = 1
LOUDEST_SAMPLE = 1e6
"""120 dB over full scale: louder is no audio, and overflows when it is resampled or squared."""
UNKNOWN_FRAMES = 1 << 40
"""libsndfile returns a number from here on where it does not know how long a file is."""

INPUT_FORMATS = "WAV, AIFF, FLAC, MP3 or OGG"
FFMPEG_FORMATS = "M4A, WebM, WMA and others"

_HALF_POWER = 0.7071
_LEFT, _RIGHT = (1.0, 0.0), (0.0, 1.0)
_CENTRE = (_HALF_POWER, _HALF_POWER)
_BACK_LEFT, _BACK_RIGHT = (_HALF_POWER, 0.0), (0.0, _HALF_POWER)
_NOWHERE = (0.0, 0.0)

_MIX_DOWN: dict[int, Sequence[tuple[float, float]]] = {
    1: [(1.0, 1.0)],
    2: [_LEFT, _RIGHT],
    3: [_LEFT, _RIGHT, _CENTRE],
    4: [_LEFT, _RIGHT, _BACK_LEFT, _BACK_RIGHT],
    5: [_LEFT, _RIGHT, _CENTRE, _BACK_LEFT, _BACK_RIGHT],
    6: [_LEFT, _RIGHT, _CENTRE, _NOWHERE, _BACK_LEFT, _BACK_RIGHT],
    7: [_LEFT, _RIGHT, _CENTRE, _NOWHERE, _CENTRE, _BACK_LEFT, _BACK_RIGHT],
    8: [_LEFT, _RIGHT, _CENTRE, _NOWHERE, _BACK_LEFT, _BACK_RIGHT, _BACK_LEFT, _BACK_RIGHT],
}
"""What each channel adds to left and right, by the number of channels, in the order of WAV files;
a low-frequency channel adds nothing."""


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Args:
        audio: [2, samples] at the rate that was asked for, and no longer than was asked for.
        channels: Channels of the file.
        frames: Samples per channel in the file, at its own rate.
        rate: Sample rate of the file, in Hz.
        extension: Extension of files of its kind, with the dot.
        notes: What was repaired, guessed or left out, each to be read after the file's name.
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
    """A file that is read once, from its beginning to its end.

    python-soundfile seeks after every read of a file that can seek, which libsndfile cannot do in
    a FLAC file that does not say how long it is.
    """

    def seekable(self) -> bool:
        """Return False: nothing here goes back."""
        return False


def decode(
    data: bytes, rate: int, *, keep_seconds: float, max_seconds: float, field: str = "audio_file"
) -> Decoded:
    """Decode a whole file to stereo, and keep its beginning.

    Args:
        data: The file.
        rate: The sample rate of the result, in Hz.
        keep_seconds: The most that is kept.
        max_seconds: The longest file that is accepted.
        field: What messages call the file.

    Raises:
        NotAudio: The file is no audio, is incomplete, cannot be read here, or has samples that are
            no numbers. The message begins with ``field`` and names what was sent.
        TooLarge: The file is longer than ``max_seconds`` or has more than MAX_CHANNELS.
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
    if kind.reader == "none":
        raise NotAudio(f"is {kind.name}, not audio; {_what_to_send()}")
    if kind.reader == "ffmpeg":
        repaired = _convert(data, kind, max_seconds)
    else:
        # libsndfile believes headers: it is given a file whose header is right
        repaired = _REPAIRS.get(kind.reader, Repaired)(data)
    try:
        file = _ForwardFile(io.BytesIO(repaired.data))
    except soundfile.LibsndfileError:
        # a container that libsndfile knows, with a codec that it does not know, or a damaged file
        if kind.demuxer is None or kind.reader == "ffmpeg":
            raise NotAudio(f"is {kind.name}, but a damaged one; {_what_to_send()}") from None
        repaired = _convert(data, kind, max_seconds)
        file = _ForwardFile(io.BytesIO(repaired.data))
    with file:
        _check_header(file, max_seconds)
        expected = repaired.expected_frames
        if kind.reader == "libsndfile" and 0 < file.frames < UNKNOWN_FRAMES:
            expected = file.frames
        if expected is not None:
            _check_length(expected / file.samplerate, max_seconds)
        links = [_blocks_of_link(link, file) for link in repaired.links]
        blocks = itertools.chain(_blocks(file, repaired.expected_frames), *links)
        audio, frames = _read(blocks, file.samplerate, rate, keep_seconds, max_seconds)
        notes = repaired.notes
        if expected is not None and not links:
            notes += check_header_length(expected, frames, "samples", tolerance=0)
        return Decoded(audio, file.channels, frames, file.samplerate, kind.extension, notes)


def _repair_wav_of_any_codec(data: bytes) -> Repaired:
    wav = repair_wav(data)
    if wav.codec != MP3_IN_WAV:
        return wav
    mp3, notes = repair_mp3(wav.data)
    return Repaired(mp3, (*wav.notes, *notes))


_REPAIRS: Mapping[str, Callable[[bytes], Repaired]] = {
    "wav": _repair_wav_of_any_codec,
    "aiff": repair_aiff,
    "flac": repair_flac,
    "mp3": lambda data: Repaired(*repair_mp3(data)),
    "ogg": repair_ogg,
    "w64": repair_w64,
}
"""What is done to a file, by its reader, before libsndfile reads it; files of others are left."""


def _blocks_of_link(data: bytes, first: soundfile.SoundFile) -> Iterator[Audio]:
    """Yield the blocks of a file that continues another one.

    Raises:
        NotAudio: It is damaged, or its sample rate or channels differ from the other's.
    """
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


def _convert(data: bytes, kind: FileKind, max_seconds: float) -> Repaired:
    """Have ffmpeg convert a file to WAV.

    Raises:
        NotAudio: ffmpeg is not installed, or cannot decode the file.
    """
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
    return Repaired(repair_wav(wav).data)  # ffmpeg, too, leaves placeholders in what it pipes


def _what_to_send() -> str:
    if find_ffmpeg() is None:
        return f"send {INPUT_FORMATS}"
    return f"send {INPUT_FORMATS.replace(' or', ',')}, {FFMPEG_FORMATS}"


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
    """Resample blocks [samples, channels] to the beginning of a file as stereo.

    Returns:
        The beginning, [2, samples], and how many samples per channel the blocks have.
    """
    keep = round(keep_seconds * rate)
    resampler = soxr.ResampleStream(file_rate, rate, 2, dtype="float32", quality="VHQ")
    kept: list[Audio] = []
    kept_samples = read_samples = 0
    for block in blocks:
        read_samples += len(block)
        _check_length(read_samples / file_rate, max_seconds)
        # blocks after the beginning are read and checked, but not kept
        if kept_samples < keep:
            mix = np.array(_MIX_DOWN[block.shape[1]], np.float32)
            mix /= np.maximum(np.abs(mix).sum(0), 1)  # so that nothing gets louder
            kept.append(resampler.resample_chunk(block @ mix))
            kept_samples += len(kept[-1])
    if read_samples == 0:
        raise NotAudio("holds no samples")
    kept.append(resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True))
    audio = np.ascontiguousarray(np.concatenate(kept)[:keep].T)
    if not audio.size:
        lengths = f"its {read_samples} samples at {file_rate} Hz are none at {rate} Hz"
        raise NotAudio(f"is too short: {lengths}")
    return audio, read_samples


def _blocks(file: soundfile.SoundFile, expected: int | None = None) -> Iterator[Audio]:
    """Yield blocks [samples, channels] of a file.

    Args:
        file: The file.
        expected: Samples per channel, if a header says so: after them may be what no decoder can
            decode, such as a tag.

    Raises:
        NotAudio: A sample is no number, or the file is damaged before the expected end.
    """
    read = 0
    while True:
        size = file.samplerate * BLOCK_SECONDS
        if expected is not None and read < expected:
            size = min(size, expected - read)
        try:
            block = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if expected is not None and read >= expected:
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
