"""All that a module may import. Standard library only; importing it takes a few milliseconds."""

from monjolo_sdk.context import Context, Log, RunInfo, State
from monjolo_sdk.errors import (
    ApiError,
    AuthError,
    EgressRefused,
    InvalidInput,
    InvalidOutput,
    ModuleError,
    OutputTooLarge,
    PermanentError,
    RetryLater,
)
from monjolo_sdk.fields import Connection, Field, Secret
from monjolo_sdk.module import Action, ConnectionType, Module
from monjolo_sdk.version import SDK_VERSION

__version__ = SDK_VERSION

__all__ = [
    "Action",
    "ApiError",
    "AuthError",
    "Connection",
    "ConnectionType",
    "Context",
    "EgressRefused",
    "Field",
    "InvalidInput",
    "InvalidOutput",
    "Log",
    "Module",
    "ModuleError",
    "OutputTooLarge",
    "PermanentError",
    "RetryLater",
    "RunInfo",
    "Secret",
    "State",
]
