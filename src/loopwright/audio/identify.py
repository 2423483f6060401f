"""What a file is, by its first bytes: its name for a person, and which reader takes it.

Knows: signatures. Does not know: how anything is decoded. A name or a media type that a client sent
along is never believed: phones and browsers label files wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loopwright.audio.mpeg import find_first_frame, skip_id3

Reader = Literal["wav", "aiff", "flac", "mp3", "ogg", "w64", "libsndfile", "ffmpeg", "none"]

SEARCHED_BYTES = 1 << 20
"""How far from either end of a file the name of its codec is looked for."""

SHOWN_BYTES = 8
TS_PACKET = 188
"""Bytes of a packet of a transport stream; each begins with the letter G."""
MOSTLY_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Args:
        name: for a sentence, with its article ("an M4A file (AAC)").
        extension: the usual one, with its dot; empty where there is none to keep it under.
        reader: what decodes it; "none" for what holds no audio.
        demuxer: ffmpeg's name of the container, where ffmpeg may be asked to read it.
    """

    name: str
    extension: str
    reader: Reader
    demuxer: str | None = None


# Files begin with these bytes.
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
# The second name of a container that begins with RIFF or FORM.
_RIFF_FORMS = {
    b"WAVE": FileKind("a WAV file", ".wav", "wav", "wav"),
    b"AVI ": FileKind("an AVI file", ".avi", "ffmpeg", "avi"),
    b"WEBP": FileKind("a WebP image", "", "none"),
    b"RMID": FileKind("a MIDI file, which holds notes and no audio", "", "none"),
}
_IFF_FORMS = {
    b"AIFF": FileKind("an AIFF file", ".aiff", "aiff", "aiff"),
    b"AIFC": FileKind("an AIFF-C file", ".aiff", "aiff", "aiff"),
    b"8SVX": FileKind("an 8SVX file", ".8svx", "libsndfile"),
}
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
    """Return what a file is; one of no known signature is searched for MPEG audio frames."""
    data = data[skip_id3(data) :]
    head = data[:64]
    found = _container(data, head) or next(
        (kind for signature, kind in _SIGNATURES if head.startswith(signature)), None
    )
    # what two bytes say is so little that frames in a row must speak first
    if found is None and find_first_frame(data) is not None:
        found = FileKind("an MP3 file", ".mp3", "mp3", "mp3")
    return found or _stream(data, head) or _text_or_unknown(data, head)


def _container(data: bytes, head: bytes) -> FileKind | None:
    """Return the kind of a file that is a container, with the codec in it where there are several."""
    if head[:4] in (b"RIFF", b"FORM"):
        found = (_RIFF_FORMS if head[:4] == b"RIFF" else _IFF_FORMS).get(head[8:12])
        return found or FileKind(f"a {head[:4].decode()} file that holds no audio", "", "none")
    if head[:4] == b"OggS":
        return _ogg(data)
    if head[4:8] in _MP4_BOXES:
        return _mp4(data, head)
    return _matroska(data) if head[:4] == b"\x1aE\xdf\xa3" else None


def _stream(data: bytes, head: bytes) -> FileKind | None:
    """Return the kind of a file that is packets of a stream, each with a few bits to know it by."""
    if head[:1] == b"\xff" and head[1:2] >= b"\xe0":
        is_adts = head[1] & 0xF6 == 0xF0  # the layer's bits are 0 in AAC
        adts = FileKind("an AAC file (ADTS)", ".aac", "ffmpeg", "aac")
        return adts if is_adts else FileKind("an MPEG audio file", ".mp2", "ffmpeg", "mp3")
    if head[:1] == b"G" and data[TS_PACKET : TS_PACKET + 1] == b"G":
        return FileKind("an MPEG transport stream", ".ts", "ffmpeg", "mpegts")
    return FileKind("an AC-3 file", ".ac3", "ffmpeg", "ac3") if head[:2] == b"\x0b\x77" else None


def _ogg(data: bytes) -> FileKind:
    for signature, (name, extension) in _CODECS_OF_OGG.items():
        if signature in data[:256]:
            return FileKind(name, extension, "ogg", "ogg")
    codec = "Speex" if b"Speex" in data[:256] else "no codec that is known"
    return FileKind(f"an Ogg file ({codec})", ".ogg", "ffmpeg", "ogg")


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


def _matroska(data: bytes) -> FileKind:
    is_webm = b"webm" in data[:64]
    container, extension = ("a WebM file", ".webm") if is_webm else ("a Matroska file", ".mkv")
    name = _with_codec(container, _first_found(data, _CODECS_OF_MATROSKA))
    return FileKind(name, extension, "ffmpeg", "matroska")


def _first_found(data: bytes, codecs: dict[bytes, str]) -> str | None:
    """Return the name of a codec whose identifier stands near either end, where headers are."""
    near = data[:SEARCHED_BYTES] + data[-SEARCHED_BYTES:]
    return next((name for identifier, name in codecs.items() if identifier in near), None)


def _with_codec(container: str, codec: str | None) -> str:
    return container if codec is None else f"{container} ({codec})"


def _text_or_unknown(data: bytes, head: bytes) -> FileKind:
    start = head.lstrip()[:16].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return FileKind("an HTML page", "", "none")
    if head and MOSTLY_PRINTABLE.fullmatch(head):
        return FileKind("text", "", "none")
    if not data.strip(b"\0"):
        return FileKind("a file of zeros" if data else "a tag with no audio behind it", "", "none")
    return FileKind(
        f"a file of no known kind (it begins with {head[:SHOWN_BYTES].hex(' ')})", "", "none"
    )
