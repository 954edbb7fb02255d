"""What the operating system says of a disk or a folder, as errors with a name and an advice."""

from __future__ import annotations

import errno
from pathlib import Path

from monjolo.kit.errors import Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_FOLDER = {errno.EEXIST, errno.ENOTDIR, errno.ENOENT}


def disk_error(error: OSError, path: Path) -> Unavailable:
    """The named form of a failure to write at `path`: `disk_full`, `data_read_only`, `data_no_folder`, else
    `data_io_failed`."""
    if error.errno in _FULL:
        named = Unavailable(f"The disk that holds {path} is full. Free some space.", code="disk_full")
    elif error.errno in _READ_ONLY:
        advice = "Make it writable, or choose another data folder with MONJOLO_DATA."
        named = Unavailable(f"{path} cannot be written. {advice}", code="data_read_only")
    elif error.errno in _NO_FOLDER:
        advice = "Choose another data folder with MONJOLO_DATA."
        named = Unavailable(f"{path} is no folder, and none can be made there. {advice}", code="data_no_folder")
    else:
        named = Unavailable(f"{path} failed: {error.strerror or error}.", code="data_io_failed")
    named.retry_after = 5
    named.__cause__ = error
    return named
