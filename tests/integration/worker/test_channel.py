"""The pipes between worker and runner."""

from __future__ import annotations

import asyncio
import os
import threading

from monjolo.worker.channel import MAX_LINE_BYTES, LineChannel


async def test_a_line_that_grows_past_the_limit_ends_the_channel_with_the_limit_as_the_reason() -> None:
    incoming, runner_out = os.pipe()
    runner_in, outgoing = os.pipe()
    lines: list[bytes] = []
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    LineChannel(incoming, outgoing, lines.extend, ended.set_result)

    def write() -> None:
        os.write(runner_out, b"whole\n")
        piece = b"x" * 1024 * 1024
        try:
            while True:
                os.write(runner_out, piece)
        except OSError:  # nobody listens any more
            os.close(runner_out)

    writer = threading.Thread(target=write)
    writer.start()
    reason = await ended
    await asyncio.to_thread(writer.join)
    os.close(runner_in)
    assert lines == [b"whole"]
    assert reason == f"a line was longer than {MAX_LINE_BYTES} bytes"
