"""One file a benchmark; each has `measure() -> list[Metric]`."""
