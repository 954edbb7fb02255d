"""Search a pattern in a page without letting a hostile pattern or page hold the step: in a process that is killed
when it takes too long (Python's engine backtracks)."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Literal

MAX_PATTERN = 1_000  # characters
MAX_TEXT = 1024 * 1024  # characters; what is beyond is not searched
_SECONDS = 3.0
_SEARCH = (
    "import json, re, sys; job = json.load(sys.stdin); "
    "print(json.dumps(re.search(job['pattern'], job['text']) is not None))"
)

Found = Literal["yes", "no", "too_slow"]


def check_pattern(pattern: str) -> str | None:
    """What is wrong with the pattern, or None."""
    if len(pattern) > MAX_PATTERN:
        return f"it is longer than {MAX_PATTERN} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return None


async def search(pattern: str, text: str) -> Found:
    """Is the pattern in the text? A pattern without special characters is looked for plainly, in linear time."""
    text = text[:MAX_TEXT]
    if re.escape(pattern) == pattern:
        return "yes" if pattern in text else "no"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", _SEARCH, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    job = json.dumps({"pattern": pattern, "text": text}).encode()
    try:
        said, _ = await asyncio.wait_for(process.communicate(job), _SECONDS)
    except TimeoutError:
        return "too_slow"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "yes" if said.strip() == b"true" else "no"
