"""The platform's own log: structured, one line an event. It never raises and never recurses (S19)."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

LONGEST_TEXT = 4_000
# Everything that could move the cursor, end a line or hide text in a terminal; line breaks of tracebacks stay.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}
_UNPRINTABLE |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_ONE_LINE = _UNPRINTABLE | {0x0A: "\\n"}
_MULTILINE = frozenset({"exception", "stack"})
_QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "watchfiles", "alembic", "httpx2", "httpcore")


def configure_logging(level: str = "info", *, as_json: bool, stream: TextIO | None = None) -> None:
    """Sends structlog and the standard library's logging to one stream, `stderr` if none is given."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        printable,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(as_json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_number(level))
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(_number(level), logging.WARNING))


def printable(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Texts short enough and without control characters; what is no JSON value becomes text."""
    return {key: _printable(key, value) for key, value in event.items()}


def _printable(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float) or key.startswith("_"):
        return value
    if not isinstance(value, str):
        try:
            value = str(value)
        except Exception:  # whatever an object's own __str__ does, a log line must not fail
            value = f"<{type(value).__name__}>"
    if len(value) > LONGEST_TEXT:
        value = f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"
    return value.translate(_UNPRINTABLE if key in _MULTILINE else _ONE_LINE)


def _renderer(as_json: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer(ensure_ascii=True)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
