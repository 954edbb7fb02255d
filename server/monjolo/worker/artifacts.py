"""Files that a step hands over: taken from the runner's own folder and nowhere else.

The worker reads them with its own rights. A path that a runner may choose freely would make it read for the
runner what the runner cannot read itself: the platform's environment, its keys.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutsideOfFolder(ValueError):
    """The step named a file that does not lie in its own temporary folder."""


@contextlib.contextmanager
def taken(folder: Path, path: str) -> Iterator[Path]:
    """A second name of the file at `path`, beside `folder`, where no link of the runner's leads elsewhere.

    Whoever opens it must not follow a link: what the runner named may be one itself.
    """
    given = Path(path)
    if not given.is_relative_to(folder) or ".." in given.parts or given == folder:
        raise OutsideOfFolder("an artifact is taken from the step's own temporary folder only")
    parts = given.relative_to(folder).parts
    ours = folder.parent / f"artifact-{secrets.token_hex(8)}"
    opened = [os.open(folder, _FOLDER)]
    try:
        for part in parts[:-1]:  # step by step: no link on the way is followed
            opened.append(os.open(part, _FOLDER, dir_fd=opened[-1]))
        os.link(parts[-1], ours, src_dir_fd=opened[-1], follow_symlinks=False)
    except OSError as error:
        raise OutsideOfFolder(f"the artifact cannot be taken: {error.strerror}") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    try:
        yield ours
    finally:
        ours.unlink(missing_ok=True)
