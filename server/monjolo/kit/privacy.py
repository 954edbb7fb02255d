"""Closes this process to the other processes of its user, as far as the kernel offers it."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def close_to_neighbours() -> bool:
    """No core files; memory, environment and descriptors only for root. Whether it could be done.

    What runs as our own user, such as a step, could otherwise read the platform's keys in /proc or attach to it.
    """
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
