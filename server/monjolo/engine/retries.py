"""When, and whether, a failed attempt is tried again. Plain functions of what is known."""

from __future__ import annotations

from monjolo.engine.types import Duration, Instant, RetryPlan


def may_retry(plan: RetryPlan, tries: int, retryable: bool, first_at: Instant, at: Instant, delay: Duration) -> bool:
    """`tries` counts the step's own attempts so far (those lost with a worker are not its fault)."""
    if not retryable or tries >= plan.max_attempts:
        return False
    return plan.max_elapsed is None or at + delay - first_at <= plan.max_elapsed


def delay_before(plan: RetryPlan, tries: int, seed: int, key: str, retry_after: Duration | None) -> Duration:
    """The pause after the `tries`-th failure: back-off, bounded, spread by jitter drawn from the run's seed."""
    match plan.backoff:
        case "constant":
            base = float(plan.delay)
        case "linear":
            base = float(plan.delay) * tries
        case _:
            base = float(plan.delay) * plan.factor ** min(tries - 1, 64)
    base = min(base, float(plan.max_delay))
    if plan.jitter:
        base *= 1 - plan.jitter + 2 * plan.jitter * spread(seed, key, tries)
    return max(round(base), retry_after or 0)


def spread(seed: int, key: str, number: int) -> float:
    """A number in [0, 1) that is the same in every replay: FNV-1a over the words, mixed."""
    mixed = 0xCBF29CE484222325 ^ (seed & 0xFFFFFFFFFFFFFFFF)
    for byte in f"{key}#{number}".encode():
        mixed = ((mixed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 33
    mixed = (mixed * 0xFF51AFD7ED558CCD) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 33)) / 2**64
