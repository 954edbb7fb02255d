"""The exit codes of every command: one table, for people, programs and the reference page."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    WRONG_USE = 2
    REFUSED = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "It is done; with --wait or --follow: the run succeeded.",
    Exit.FAILED: "The thing itself failed: a run did not end well, a file is not valid, a test did not pass, a check "
    "found a fault, the platform could not start.",
    Exit.WRONG_USE: "The command was not written as it must be; nothing was done.",
    Exit.REFUSED: "The API refused: the message says why and what to do.",
    Exit.UNREACHABLE: "Nobody answers at the platform's address, or it went away while we waited.",
    Exit.INTERRUPTED: "Ctrl C. A run that was being followed goes on.",
}
