"""The Python runner: a child process that speaks JSON-RPC (docs/reference/runner-protocol.md)."""
