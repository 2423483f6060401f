"""Files written whole or not at all, and a sentence for each reason why the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from loopwright.errors import StorageFailed

MAX_NAME_BYTES = 255
"""The longest name that file systems allow (ext4, APFS; NTFS counts in units of two bytes)."""


def write_whole(path: Path, data: bytes, what: str) -> None:
    """Write a file that appears under its name only when it is whole.

    Its folder is made where there is none.

    Args:
        path: Where the file is to be.
        data: Its content.
        what: What it is, for the error's sentence ("the riff").

    Raises:
        StorageFailed: The disk or folder refuses; the message says why. Nothing is left behind.
    """
    # not the file's name with a suffix: a name as long as is allowed has no room for one
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            # a full disk may show only here, and must show before the file takes its name
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFailed(f"{what} could not be kept: {reason_of(error, path)}") from error


def reason_of(error: OSError, path: Path) -> str:
    """Return what an error of the file system means to the person who runs the server."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return f"the folder {path.parent.name} may not be written to"
        case errno.ENAMETOOLONG:
            return "its name is too long"
        case errno.ENOTDIR | errno.EEXIST:
            return f"{path.parent.name} is no folder"
        case _:
            return (error.strerror or type(error).__name__).lower()


def cut_to_bytes(text: str, most: int) -> str:
    """Cut a text so that it takes at most ``most`` bytes in UTF-8, between characters."""
    return text.encode()[:most].decode(errors="ignore")
