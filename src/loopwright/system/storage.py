"""Files written whole or not at all, and a sentence where the disk does not take them."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from loopwright.errors import StorageFailed

MAX_NAME_BYTES = 255
"""What file systems allow for a name (ext4, APFS, NTFS in units of two)."""


def write_whole(path: Path, data: bytes, what: str) -> None:
    """Write a file under its name only when it is whole; make its folder where there is none.

    Args:
        path: where to.
        data: its content.
        what: what it is, for the error's sentence ("the riff").

    Raises:
        StorageFailed: says what is wrong with the disk or folder; nothing is left behind.
    """
    # the name of the part is its own: that of a file as long as is allowed has no room for more
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFailed(f"{what} could not be kept: {reason_of(error, path)}") from error


def reason_of(error: OSError, path: Path) -> str:
    """Say what a system's error means for a person who looks after the server."""
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


def shortened(stem: str, room: int) -> str:
    """Cut a file's stem so that it takes at most ``room`` bytes; no character is cut apart."""
    return stem.encode()[:room].decode(errors="ignore")
