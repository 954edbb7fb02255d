from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from monjolo.observability.logging import configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    text = io.StringIO()
    configure_logging("info", as_json=True, stream=text)
    yield text
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_whatever_it_holds(stream: io.StringIO) -> None:
    log = structlog.get_logger("monjolo.test")
    log.info("started", run="1", count=3, text="a\nb\x1b[31m\u2028\u202e", raw=b"\xff", nothing=None)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"], line["count"]) == ("started", "monjolo.test", "info", 3)
    assert line["text"] == "a\\nb\\x1b[31m\\u2028\\u202e"
    assert line["nothing"] is None


def test_the_standard_librarys_log_takes_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("somebody.else").warning("it is %s", "so")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("it is so", "somebody.else", "warning")


def test_a_log_line_never_raises_and_never_grows_without_bound(stream: io.StringIO) -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    loop: list[object] = []
    loop.append(loop)
    structlog.get_logger().warning("odd", rude=Rude(), loop=loop, long="x" * 100_000, surrogate="\ud800")
    (line,) = lines(stream)
    assert line["rude"] == "<Rude>"
    assert len(str(line["long"])) < 5_000


def test_an_exception_comes_with_its_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("of a kind")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    assert "ValueError: of a kind" in str(line["exception"])


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    assert stream.getvalue() == ""


def test_the_console_form_is_readable(stream: io.StringIO) -> None:
    text = io.StringIO()
    configure_logging("info", as_json=False, stream=text)
    structlog.get_logger("monjolo").info("ready", url="http://127.0.0.1:7700")
    assert "ready" in text.getvalue()
    assert "http://127.0.0.1:7700" in text.getvalue()
