"""Files are written whole or not at all, and the disk's troubles are sentences."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from loopwright.errors import StorageFailed
from loopwright.system.storage import cut_to_bytes, write_whole


def test_a_file_is_whole_under_its_name_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / ("x" * 251 + ".wav")
    write_whole(path, b"audio", "the riff")
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [
        (path.name, b"audio")
    ]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the riff could not be kept: the disk is full"),
        (errno.EDQUOT, "the riff could not be kept: the disk is full"),
        (errno.EROFS, "the riff could not be kept: the folder riffs may not be written to"),
        (errno.EACCES, "the riff could not be kept: the folder riffs may not be written to"),
        (errno.EIO, "the riff could not be kept: input/output error"),
    ],
)
def test_what_the_disk_says_is_a_sentence_and_no_part_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, "Input/output error")

    monkeypatch.setattr("os.fsync", failing)
    path = tmp_path / "riffs" / "a.wav"
    path.parent.mkdir()
    path.write_bytes(b"before")
    with pytest.raises(StorageFailed) as caught:
        write_whole(path, b"after", "the riff")
    assert caught.value.message == sentence
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [("a.wav", b"before")]


def test_names_and_folders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="its name is too long"):
        write_whole(tmp_path / ("x" * 256), b"", "the riff")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match="file is no folder"):
        write_whole(tmp_path / "file" / "a.wav", b"", "the riff")


@pytest.mark.parametrize(
    ("stem", "room", "cut"),
    [("abc", 5, "abc"), ("abcdef", 3, "abc"), ("üüü", 3, "ü"), ("🥁x", 3, "")],
)
def test_stems_are_cut_between_characters(stem: str, room: int, cut: str) -> None:
    assert cut_to_bytes(stem, room) == cut
