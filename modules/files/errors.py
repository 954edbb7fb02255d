"""The errors that the actions of this module give."""

from __future__ import annotations

from monjolo_sdk import ModuleError, PermanentError


class TargetFull(ModuleError):
    """There is no room; nothing half written was left behind."""


class TargetUnwritable(ModuleError):
    """The target folder does not take files."""


class IncompleteBackup(ModuleError):
    """Something could not be saved whole and `fail_on_problems` is set."""


class IncompleteRestore(PermanentError):
    """Something could not be put back and `fail_on_problems` is set."""


class VerificationFailed(PermanentError):
    """The archive is not what its manifest says."""


class UnsafeArchive(PermanentError):
    """The archive holds a name or an entry that could reach outside the target; nothing was put in place."""


class Cancelled(ModuleError):
    """The step was cancelled while it worked."""
