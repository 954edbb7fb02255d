"""Each key of a trigger does what it says, and leaving it out is seen."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.trigger_cases import TRIGGER_CASES, TriggerCase

from monjolo.kit import json
from monjolo.kit.errors import MonjoloError


async def seen(platform: Any, case: TriggerCase, written: dict[str, Any]) -> Any:
    try:
        await platform.publish("a", f"  - {json.dumps(written)}", "inputs: {type: object}\n")
    except MonjoloError as error:
        return "refused", error.code
    return await case.watch(platform)


@pytest.mark.parametrize("case", TRIGGER_CASES, ids=lambda case: case.name)
async def test_a_key_of_a_trigger_does_what_it_says(platform: Any, case: TriggerCase) -> None:
    assert await seen(platform, case, case.written) == case.seen


@pytest.mark.parametrize("case", TRIGGER_CASES, ids=lambda case: case.name)
async def test_leaving_the_key_of_a_trigger_out_is_seen(platform: Any, case: TriggerCase) -> None:
    holder = case.written if case.under is None else case.written[case.under]
    left = {name: value for name, value in holder.items() if name != case.key}
    written = left if case.under is None else {**case.written, case.under: left}
    assert await seen(platform, case, written) != case.seen
