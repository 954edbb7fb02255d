"""The versions of the SDK, which a manifest names, and of the runner protocol."""

SDK_VERSION = "0.1.0"

# docs/reference/runner-protocol.md. It is not in wire.py, whose dataclasses cost 20 ms to import.
RUNNER_PROTOCOL = 1
