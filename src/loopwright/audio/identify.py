"""What kind of file some bytes are: its name for people, and the reader that decodes it.

Knows: signatures. Does not know: how anything is decoded. The file name and the media type that a
client sends are never believed: phones and browsers label files wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loopwright.audio.mpeg import find_first_frame, skip_id3

Reader = Literal["wav", "aiff", "flac", "mp3", "ogg", "w64", "libsndfile", "ffmpeg", "none"]

SEARCHED_BYTES = 1 << 20
"""How far from each end of a file the name of its codec is searched for."""

HEAD_BYTES = 64
OGG_HEAD_BYTES = 256
"""The start of an Ogg file, in which the first packet names the codec."""
SHOWN_BYTES = 8
TS_PACKET_BYTES = 188
"""The length of a packet of a transport stream; each begins with the letter G."""
MOSTLY_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Args:
        name: For a sentence, with its article ("an M4A file (AAC)").
        extension: Extension of its files, with the dot; empty for a kind that is never kept.
        reader: What decodes it; "none" for what holds no audio.
        demuxer: ffmpeg's name of the container, where ffmpeg may read it.
    """

    name: str
    extension: str
    reader: Reader
    demuxer: str | None = None


_SIGNATURES: tuple[tuple[bytes, FileKind], ...] = (
    (b"fLaC", FileKind("a FLAC file", ".flac", "flac", "flac")),
    (b"RF64", FileKind("a WAV file", ".wav", "wav", "wav")),
    (b"BW64", FileKind("a WAV file", ".wav", "wav", "wav")),
    (b"RIFX", FileKind("a big-endian WAV file", ".wav", "libsndfile")),
    (b"caff", FileKind("a Core Audio file", ".caf", "libsndfile", "caf")),
    (b"riff\x2e\x91\xcf\x11", FileKind("a Wave64 file", ".w64", "w64", "w64")),
    (b".snd", FileKind("an AU file", ".au", "libsndfile", "au")),
    (b"Creative Voice File", FileKind("a VOC file", ".voc", "libsndfile", "voc")),
    (b"#!AMR", FileKind("an AMR recording", ".amr", "ffmpeg", "amr")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", FileKind("a WMA file", ".wma", "ffmpeg", "asf")),
    (b"wvpk", FileKind("a WavPack file", ".wv", "ffmpeg", "wv")),
    (b"MAC ", FileKind("a Monkey's Audio file", ".ape", "ffmpeg", "ape")),
    (b"TTA1", FileKind("a True Audio file", ".tta", "ffmpeg", "tta")),
    (b"DSD ", FileKind("a DSD file", ".dsf", "ffmpeg", "dsf")),
    (b"FLV\x01", FileKind("a Flash video", ".flv", "ffmpeg", "flv")),
    (b"\x00\x00\x01\xba", FileKind("an MPEG video", ".mpg", "ffmpeg", "mpeg")),
    (b"MThd", FileKind("a MIDI file, which holds notes and no audio", "", "none")),
    (b"\x89PNG", FileKind("a PNG image", "", "none")),
    (b"\xff\xd8\xff", FileKind("a JPEG image", "", "none")),
    (b"GIF8", FileKind("a GIF image", "", "none")),
    (b"%PDF", FileKind("a PDF document", "", "none")),
    (b"PK\x03\x04", FileKind("a ZIP archive", "", "none")),
    (b"\x1f\x8b", FileKind("a gzip archive", "", "none")),
    (b"Rar!", FileKind("a RAR archive", "", "none")),
    (b"7z\xbc\xaf", FileKind("a 7z archive", "", "none")),
)
"""The first bytes of files. Containers, whose first bytes say less, have their own tables."""
_RIFF_FORMS = {
    b"WAVE": FileKind("a WAV file", ".wav", "wav", "wav"),
    b"AVI ": FileKind("an AVI file", ".avi", "ffmpeg", "avi"),
    b"WEBP": FileKind("a WebP image", "", "none"),
    b"RMID": FileKind("a MIDI file, which holds notes and no audio", "", "none"),
}
"""By the name after the size, in files that begin with RIFF."""
_IFF_FORMS = {
    b"AIFF": FileKind("an AIFF file", ".aiff", "aiff", "aiff"),
    b"AIFC": FileKind("an AIFF-C file", ".aiff", "aiff", "aiff"),
    b"8SVX": FileKind("an 8SVX file", ".8svx", "libsndfile"),
}
"""The same in files that begin with FORM."""
_MP4_BOXES = frozenset([b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof"])
_CODECS_OF_MP4 = {
    b"mp4a": "AAC", b"alac": "Apple Lossless", b"Opus": "Opus", b"fLaC": "FLAC", b"ac-3": "AC-3",
    b"samr": "AMR", b"sawb": "AMR", b".mp3": "MP3", b"lpcm": "PCM", b"sowt": "PCM", b"twos": "PCM",
}  # fmt: skip
_CODECS_OF_MATROSKA = {
    b"A_OPUS": "Opus", b"A_VORBIS": "Vorbis", b"A_AAC": "AAC", b"A_FLAC": "FLAC",
    b"A_PCM": "PCM", b"A_MPEG": "MP3",
}  # fmt: skip
_CODECS_OF_OGG = {
    b"\x01vorbis": ("an Ogg Vorbis file", ".ogg"),
    b"OpusHead": ("an Ogg Opus file", ".opus"),
    b"\x7fFLAC": ("an Ogg FLAC file", ".oga"),
}


def identify(data: bytes) -> FileKind:
    """Return what kind of file some bytes are."""
    data = data[skip_id3(data) :]
    head = data[:HEAD_BYTES]
    if (container := _container(data, head)) is not None:
        return container
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    # before streams: several frames in a row are surer than the two bytes a stream is known by
    if find_first_frame(data) is not None:
        return FileKind("an MP3 file", ".mp3", "mp3", "mp3")
    return _stream(data, head) or _no_audio(data, head)


def _container(data: bytes, head: bytes) -> FileKind | None:
    """Return the kind of a container file, which may name its codec; None for other files."""
    mark = head[:4]
    if mark in (b"RIFF", b"FORM"):
        forms = _RIFF_FORMS if mark == b"RIFF" else _IFF_FORMS
        no_audio = FileKind(f"a {mark.decode()} file that holds no audio", "", "none")
        return forms.get(head[8:12], no_audio)
    if mark == b"OggS":
        for signature, (name, extension) in _CODECS_OF_OGG.items():
            if signature in data[:OGG_HEAD_BYTES]:
                return FileKind(name, extension, "ogg", "ogg")
        codec = "Speex" if b"Speex" in data[:OGG_HEAD_BYTES] else "no codec that is known"
        return FileKind(f"an Ogg file ({codec})", ".ogg", "ffmpeg", "ogg")
    if head[4:8] in _MP4_BOXES:
        return _mp4(data, head)
    if mark == b"\x1aE\xdf\xa3":
        is_webm = b"webm" in data[:64]
        container, extension = ("a WebM file", ".webm") if is_webm else ("a Matroska file", ".mkv")
        name = _with_codec(container, _first_found(data, _CODECS_OF_MATROSKA))
        return FileKind(name, extension, "ffmpeg", "matroska")
    return None


def _stream(data: bytes, head: bytes) -> FileKind | None:
    """Return the kind of a file that consists of packets, each known by a few bits; else None."""
    if head[:1] == b"\xff" and head[1:2] >= b"\xe0":
        if head[1] & 0xF6 == 0xF0:  # in AAC the bits of the layer are 0
            return FileKind("an AAC file (ADTS)", ".aac", "ffmpeg", "aac")
        return FileKind("an MPEG audio file", ".mp2", "ffmpeg", "mp3")
    if head[:1] == b"G" and data[TS_PACKET_BYTES : TS_PACKET_BYTES + 1] == b"G":
        return FileKind("an MPEG transport stream", ".ts", "ffmpeg", "mpegts")
    return FileKind("an AC-3 file", ".ac3", "ffmpeg", "ac3") if head[:2] == b"\x0b\x77" else None


def _mp4(data: bytes, head: bytes) -> FileKind:
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    codec = _first_found(data, _CODECS_OF_MP4)
    if brand[:3] == b"3gp" or brand[:3] == b"3g2":
        container, extension = "a 3GP file", ".3gp"
    elif brand[:2] == b"qt" or not brand:
        container, extension = "a QuickTime file", ".mov"
    elif brand[:3] in (b"M4A", b"M4B"):
        container, extension = "an M4A file", ".m4a"
    else:
        container, extension = "an MP4 file", ".mp4"
    return FileKind(_with_codec(container, codec), extension, "ffmpeg", "mov")


def _first_found(data: bytes, codecs: dict[bytes, str]) -> str | None:
    """Return the name of the first codec whose identifier is near one of the ends of a file."""
    near_ends = data[:SEARCHED_BYTES] + data[-SEARCHED_BYTES:]
    return next((name for identifier, name in codecs.items() if identifier in near_ends), None)


def _with_codec(container: str, codec: str | None) -> str:
    return container if codec is None else f"{container} ({codec})"


def _no_audio(data: bytes, head: bytes) -> FileKind:
    """Name a file that no signature is known of, so that its sender sees what was sent."""
    if not data:
        name = "a tag with no audio after it"
    elif head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        name = "an HTML page"
    elif MOSTLY_PRINTABLE.fullmatch(head):
        name = "text"
    elif not data.strip(b"\0"):
        name = "a file of zeros"
    else:
        name = f"a file of no known kind (it begins with {head[:SHOWN_BYTES].hex(' ')})"
    return FileKind(name, "", "none")
