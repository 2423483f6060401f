"""Files as programs write them are used to their end, or refused in a sentence that says why."""

from __future__ import annotations

import itertools
import os
import shutil
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.audio import decode as decoding
from loopwright.audio.decode import Decoded, decode
from loopwright.audio.ffmpeg import convert_to_wav
from loopwright.audio.identify import identify
from loopwright.audio.index_first import mp4_with_index_first
from loopwright.audio.mpeg import iterate_frames, repair_mp3
from loopwright.errors import NotAudio, TooLarge
from tests.audio import inputs
from tests.sounds import encoded, tone

CASES = Path(__file__).parent / "cases"

needs_tools = pytest.mark.skipif(
    bool(inputs.missing_tools()), reason=f"not installed: {', '.join(inputs.missing_tools())}"
)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def decoded(data: bytes) -> Decoded:
    return decode(data, 44100, keep_seconds=12, max_seconds=600)


@needs_tools
@pytest.mark.parametrize(
    "one", inputs.INPUTS, ids=[f"{one.container} {one.codec} {one.length}" for one in inputs.INPUTS]
)
def test_as_much_of_a_file_is_used_as_the_table_says(one: inputs.Input) -> None:
    assert inputs.outcome(one.data) == one.result


@needs_tools
def test_the_page_has_the_true_table() -> None:
    assert inputs.PAGE.read_text().endswith(f"{inputs.page()}\n")


@pytest.mark.parametrize(
    ("name", "frames", "note"),
    [
        ("aiff_oddname_nopad.aif", 22050, None),
        ("avaudiofile_unfinalised.wav", 8000, "does not say how long it is"),
        ("flac_pipe2.flac", 13230, None),
        ("lame_pipe_v2.mp3", 89856, None),
        ("lamejs_browser_128.mp3", 89856, None),
        ("mp3_in.wav", 24192, None),
        ("mp3_noxing_cut_midframe.mp3", 23040, None),
        ("mp3_xing_plus1.mp3", 22050, "says 25,344 samples, 24,192 are there"),
        ("size_plus8.wav", 22050, "says 88,208 bytes of audio, 88,200 are there"),
        ("wav_ffmpeg_pipe.wav", 22050, "does not say how long it is"),
    ],
)
def test_files_that_failed_in_the_past(name: str, frames: int, note: str | None) -> None:
    got = decoded((CASES / name).read_bytes())
    assert got.frames == frames
    assert len(got.notes) == (note is not None)
    assert note is None or note in got.notes[0]
    assert np.abs(got.audio).max() > 0.1


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "frames"), [("voice_memo.m4a", 22050), ("mediarecorder.webm", 24000)]
)
def test_what_phones_and_browsers_record(name: str, frames: int) -> None:
    got = decoded((CASES / name).read_bytes())
    assert frames <= got.frames <= frames + 1024
    assert np.abs(got.audio).max() > 0.1


@pytest.mark.parametrize(
    ("name", "kind"),
    [("voice_memo.m4a", "an M4A file (AAC)"), ("mediarecorder.webm", "a WebM file (Opus)")],
)
def test_without_ffmpeg_the_error_says_what_was_sent_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.setattr(decoding, "find_ffmpeg", lambda: None)
    with pytest.raises(NotAudio) as caught:
        decoded((CASES / name).read_bytes())
    assert caught.value.message == (
        f"audio_file is {kind}, which this server reads only where ffmpeg is installed; "
        "send WAV, AIFF, FLAC, MP3 or OGG, or install ffmpeg on the server"
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image"),
        (b"%PDF-1.4\n", "a PDF document"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"MThd\0\0\0\x06", "a MIDI file, which holds notes and no audio"),
        (b'{"prompt": "x"}', "text"),
        (b"#EXTM3U\nhttp://127.0.0.1/x.wav\n", "text"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "text"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
        (bytes(1000), "a file of zeros"),
        (bytes(range(1, 40)), "a file of no known kind (it begins with 01 02 03 04 05 06 07 08)"),
    ],
)
def test_what_is_no_audio_is_named_by_its_first_bytes(data: bytes, name: str) -> None:
    with pytest.raises(NotAudio) as caught:
        decoded(data)
    assert caught.value.message.startswith(f"audio_file is {name}, not audio; send WAV, ")


def test_two_files_one_after_the_other_are_both_used() -> None:
    for kind, subtype, name in (
        ("MP3", None, "MP3s"),
        ("OGG", "VORBIS", "Ogg files"),
        ("OGG", "OPUS", "Ogg files"),
    ):
        rate = 48000
        one = encoded(tone(440, 2, rate), rate, kind, subtype)
        got = decoded(one + one)
        assert got.seconds == pytest.approx(4, abs=0.1), kind
        assert got.notes == (f"is 2 {name} one after the other; all of them were used",)


def test_an_ogg_that_breaks_off_says_so() -> None:
    whole = encoded(tone(440, 20, 48000), 48000, "OGG", "OPUS")
    got = decoded(whole[: len(whole) * 3 // 4])
    assert 10 < got.seconds < 20
    assert got.notes == ("breaks off before its last page; it was used as far as it goes",)


def test_mp3s_of_two_rates_are_refused() -> None:
    both = encoded(tone(440, 1), kind="MP3") + encoded(tone(440, 1, 48000), 48000, "MP3")
    with pytest.raises(NotAudio, match="several MP3s of different sample rates"):
        decoded(both)


@settings(max_examples=30)
@given(
    rate=st.sampled_from([8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]),
    seconds=st.floats(0.3, 3),
    channels=st.sampled_from([1, 2]),
    junk=st.binary(max_size=300),
)
def test_every_frame_of_an_mp3_is_used_whatever_lies_before_and_between(
    rate: int, seconds: float, channels: int, junk: bytes
) -> None:
    """Counted twice: by the frames' headers, and by what comes out of the decoder."""
    whole = encoded(tone(440, seconds, rate, channels), rate, "MP3")
    untagged = inputs.without_xing(whole)
    frames = list(iterate_frames(untagged))
    counted = sum(frame.samples for frame in frames)
    assert decoded(untagged).frames == counted
    middle, no_sync = frames[len(frames) // 2].at, b"\1" * 8 + junk.replace(b"\xff", b"")
    assert decoded(no_sync + untagged[:middle] + no_sync + untagged[middle:]).frames == counted


@given(data=st.binary(max_size=2000), at=st.integers(0, 3000))
def test_damage_never_crashes_the_mp3_reader(data: bytes, at: int) -> None:
    whole = encoded(tone(440, 0.3), kind="MP3")
    damaged = whole[:at] + data + whole[at + len(data) :]
    with suppress(NotAudio):
        assert repair_mp3(damaged)[0]


HEADS = sorted(CASES.iterdir())


@settings(max_examples=200)
@given(
    case=st.sampled_from(HEADS),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=4),
)
def test_damaged_files_are_audio_or_refused_in_our_own_words(
    case: Path, cuts: list[tuple[float, bytes]]
) -> None:
    data = bytearray(case.read_bytes())
    for where, patch in cuts:
        at = int(where * min(len(data), 400))  # headers are where damage tells
        data[at : at + len(patch)] = patch
    refusal = None
    try:
        audio = decode(bytes(data), 44100, keep_seconds=1, max_seconds=600).audio
    except (NotAudio, TooLarge) as error:
        refusal = error.message
    if refusal is None:
        assert np.isfinite(audio).all()
    else:
        assert refusal.startswith("audio_file ")
        assert "unspecified" not in refusal
        assert "Error" not in refusal


def test_boxes_in_boxes_without_end_are_no_trouble() -> None:
    nested = b""
    for _ in range(3000):
        nested = struct.pack(">I", len(nested) + 8) + b"moov" + nested
    data = struct.pack(">I4s", 8, b"mdat") + nested
    assert len(mp4_with_index_first(data)) == len(data)
    with pytest.raises(NotAudio):
        decoded(data)


@needs_ffmpeg
def test_ffmpeg_opens_nothing_but_what_it_is_given(tmp_path: Path) -> None:
    """A playlist as the upload, told to be one, could name a file of the server's or an address."""
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg is not None
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encoded(tone(440, 1)))
    for demuxer, text in (
        ("concat", f"ffconcat version 1.0\nfile '{secret}'\n"),
        ("hls", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
    ):
        with pytest.raises(NotAudio):
            convert_to_wav(ffmpeg, text.encode(), demuxer, 10)


@needs_ffmpeg
def test_what_ffmpeg_decodes_is_bounded_in_length() -> None:
    long = inputs.ffmpeg_file(".m4a", "-filter_complex", "aloop=-1:88200,atrim=0:30")
    with pytest.raises(TooLarge, match="must be at most 10 seconds long"):
        decode(long, 44100, keep_seconds=1, max_seconds=10)


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o755)
    monkeypatch.setattr("loopwright.audio.ffmpeg.CPU_SECONDS", 1)
    with pytest.raises(NotAudio, match="did not finish"):
        convert_to_wav(os.fspath(script), b"x", "mov", 10)


SIZES = [0, 1, 8, 36, 44, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFFFF - 36]


@pytest.mark.parametrize(("riff", "data"), list(itertools.product(SIZES, [*SIZES[5:], 0])))
def test_placeholders_in_any_of_the_two_sizes_of_a_wav(riff: int, data: int) -> None:
    wav = bytearray(encoded(tone(440, 0.5)))
    wav[4:8] = struct.pack("<I", riff)
    at = wav.index(b"data") + 4
    wav[at : at + 4] = struct.pack("<I", data)
    assert decoded(bytes(wav)).frames == 22050


def test_chunks_after_the_audio_are_not_heard() -> None:
    wav = encoded(tone(440, 0.5))
    for more in (b"LIST\x04\0\0\0INFO", b"id3 \x05\0\0\0abcde\0", bytes(300)):
        got = decoded(wav + more)
        assert (got.frames, got.notes) == (22050, ())


def test_a_file_is_known_by_its_bytes_and_not_by_its_name() -> None:
    kinds = {
        identify(encoded(tone(440, 1), kind=kind)).extension
        for kind in ("WAV", "AIFF", "FLAC", "MP3", "OGG")
    }
    assert kinds == {".wav", ".aiff", ".flac", ".mp3", ".ogg"}


def test_samples_that_would_overflow_are_refused() -> None:
    loud = np.where(np.arange(44100) % 7 < 3, 3.3e38, -3.3e38).astype(np.float32)
    with pytest.raises(NotAudio, match="a million times louder than full scale"):
        decoded(encoded(np.tile(loud, (2, 1)), 48000, subtype="FLOAT"))


def test_what_is_too_short_to_be_a_sample_is_refused() -> None:
    with pytest.raises(NotAudio, match="too short"):
        decoded(encoded(np.zeros((2, 1), np.float32), 192_000))


@pytest.mark.parametrize("fill", [b"\xff", b"\xff\xfb\x90\0"])
def test_headers_without_frames_do_not_keep_the_reader_busy(fill: bytes) -> None:
    """Counted and not timed: the number of headers that are looked at is bounded."""
    frames = (b"\xff\xfb\x90\0" + bytes(413)) * 4
    with suppress(NotAudio):
        assert len(list(iterate_frames(frames + fill * 2_000_000))) <= 4


def test_a_tag_that_counts_no_frames_counts_as_none() -> None:
    data = encoded(tone(440), kind="MP3")
    at = data.index(b"Xing") + 8
    got = decoded(data[:at] + bytes(4) + data[at + 4 :])
    assert got.notes == ()


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "MP3", "OGG", "CAF"])
def test_a_tag_before_a_file_changes_nothing(kind: str) -> None:
    rate = 48000
    data = encoded(tone(440, 2, rate), rate, kind)
    plain, tagged = decoded(data), decoded(b"ID3\4\0\0\0\0\0\0" + data)
    assert (tagged.frames, tagged.notes) == (plain.frames, plain.notes)
    assert np.array_equal(tagged.audio, plain.audio)


def test_a_tag_with_nothing_after_it_and_one_of_a_wrong_size() -> None:
    with pytest.raises(NotAudio, match="is a tag with no audio after it"):
        decoded(b"ID3\4\0\0\0\0\0\0")
    mp3 = encoded(tone(440), kind="MP3")
    assert decoded(b"ID3\4\0\0\0\0\x7f\x7f" + mp3).frames == decoded(mp3).frames
    assert decoded(bytes(300_000) + mp3).frames == decoded(mp3).frames


TAILS = [
    b"TAG" + bytes(125),
    b"APETAGEX" + bytes(24),
    b"LYRICSBEGIN" + bytes(100),
    bytes(4096),
    b"ID3\4\0\0\0\0\0\0",
    b"\0\1\2",
]


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "MP3", "W64"])
@pytest.mark.parametrize("tail", TAILS)
def test_tags_and_padding_after_a_file_are_not_heard(kind: str, tail: bytes) -> None:
    data = encoded(tone(440, 2), kind=kind)
    assert decoded(data + tail).frames == decoded(data).frames


def test_a_chunk_that_is_cut_off_after_the_audio_is_not_heard() -> None:
    wav = encoded(tone(440, 0.5))
    for name in (b"LIST", b"id3 ", b"bext", b"smpl"):
        got = decoded(wav + name + struct.pack("<I", 400_000) + bytes(range(256)) * 100)
        assert got.frames == 22050


def test_an_empty_recording_does_not_play_its_texts() -> None:
    wav = encoded(np.zeros((2, 0), np.float32))
    at = wav.index(b"data") + 8
    with pytest.raises(NotAudio, match="holds no samples"):
        decoded(wav[:at] + b"LIST" + struct.pack("<I", 12) + b"INFOISFT\0\0\0\0")


def test_an_empty_second_chunk_of_audio_takes_nothing_away() -> None:
    aiff = encoded(tone(440, 0.5), kind="AIFF")
    assert decoded(aiff + b"SSND" + struct.pack(">I", 8) + bytes(8)).frames == 22050


def test_a_second_file_after_the_first_is_reported() -> None:
    wav, flac = encoded(tone(440, 0.5)), encoded(tone(440, 0.5), kind="FLAC")
    assert "is followed by another file, which was left out" in decoded(wav + wav).notes[0]
    got = decoded(flac + flac)
    assert got.frames == 22050
    assert "is followed by another file, which was left out" in got.notes[0]
