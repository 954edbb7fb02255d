"""Our figures beside a peer's, measured in turn on the same machine: `make bench`, or `python -m benchmarks.run`."""
