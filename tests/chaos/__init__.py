"""Real faults on the real platform: `make chaos`, or `python -m tests.chaos --help`."""
