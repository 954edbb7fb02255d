"""The basic steps: HTTP requests, Python scripts, shell commands, values, log lines, failures on purpose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from monjolo_sdk import Context, Field, InvalidInput, Module, ModuleError, PermanentError

from .child import Ended
from .http_call import HttpResult, ResponseKind, call
from .script import run_script
from .shell import argv_of, run_command, shown

module = Module(
    "core",
    version="1.0.0",
    title="Core",
    description="HTTP requests, Python scripts, shell commands, values, log lines and failures.",
    icon="icon.svg",
    permissions={"net": ["*"], "paths": ["*"]},
)

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Level = Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True)
class ShellResult:
    exit_code: int
    stdout: Annotated[str, Field(description="The end of what it wrote, at most max_output_bytes")]
    stderr: Annotated[str, Field(description="The end of what it wrote, at most max_output_bytes")]
    truncated: Annotated[bool, Field(description="True when stdout or stderr was cut")]


@dataclass(frozen=True)
class ValueResult:
    value: Any


@dataclass(frozen=True)
class LogResult:
    message: str
    level: str


@module.action(
    title="HTTP request",
    effects="write",
    examples=[
        {"title": "Read JSON", "with": {"url": "https://api.github.com/repos/octocat/hello-world"}},
        {
            "title": "Post JSON with a token",
            "with": {
                "method": "POST",
                "url": "https://api.example.org/items",
                "headers": {"Authorization": "Bearer ${{ secrets.token }}"},
                "json": {"name": "new"},
            },
        },
    ],
)
async def http_request(
    ctx: Context,
    url: Annotated[str, Field(title="URL", format="uri", min_length=1, max_length=8192)],
    method: Annotated[Method, Field(title="Method")] = "GET",
    headers: Annotated[dict[str, str], Field(title="Headers")] = {},  # noqa: B006 - shown, never changed
    query: Annotated[
        dict[str, Any], Field(title="Query", description="Added to the URL; a list repeats the name")
    ] = {},  # noqa: B006
    json: Annotated[Any, Field(title="JSON body")] = None,
    body: Annotated[str | None, Field(title="Text body", multiline=True)] = None,
    form: Annotated[dict[str, Any] | None, Field(title="Form fields")] = None,
    timeout_seconds: Annotated[float, Field(title="Timeout", minimum=0.1, maximum=600)] = 30.0,
    follow_redirects: Annotated[bool, Field(title="Follow redirects")] = False,
    expected_status: Annotated[
        list[int],
        Field(title="Expected status", description="Which count as success; by default all below 400"),
    ] = [],  # noqa: B006
    response: Annotated[
        ResponseKind, Field(title="Read the answer as", description="auto goes by its content type")
    ] = "auto",
    max_bytes: Annotated[int, Field(title="Largest answer", minimum=0, maximum=100 * 2**20)] = 10 * 2**20,
) -> HttpResult:
    """Send one HTTP request and give its status, headers and body.

    Answers 408, 425, 429 and 5xx, and no answer at all, may be retried (a Retry-After is kept to); any other
    unexpected status fails for good.
    """
    content = _content(json, body, form)
    ctx.log.info("requesting", method=method, url=url.partition("?")[0])
    request = {
        "method": method,
        "url": url,
        "headers": headers,
        "query": query,
        "timeout": timeout_seconds,
        "follow_redirects": follow_redirects,
        **content,
    }
    result = await call(ctx, request, expected=expected_status, response=response, max_bytes=max_bytes)
    ctx.log.info("answered", status=result.status, bytes=result.size, seconds=result.elapsed_seconds)
    return result


@module.action(
    title="Python script",
    effects="write",
    examples=[
        {
            "title": "With a dependency",
            "with": {
                "script": '# /// script\n# dependencies = ["humanize"]\n# ///\nimport humanize\n\n\n'
                'def main(inputs):\n    return {"text": humanize.naturalsize(inputs["bytes"])}\n',
                "inputs": {"bytes": 123456},
            },
        }
    ],
)
async def python(
    ctx: Context,
    script: Annotated[
        str,
        Field(title="Script", description="Reads `inputs`; sets `output` or defines main(inputs)", multiline=True),
    ],
    inputs: Annotated[dict[str, Any], Field(title="Inputs", description="What the script sees as `inputs`")] = {},  # noqa: B006
) -> Any:
    """Run a Python script in a process of its own; what it prints is logged as it comes.

    Dependencies named in a PEP 723 block (`# /// script`) are installed into an environment that is kept for
    the next time. The output of the step is the script's `output`, or what its `main(inputs)` returns.
    """
    if not script.strip():
        raise InvalidInput("the script is empty", "script")
    return await run_script(ctx, script, inputs)


@module.action(
    title="Shell command",
    effects="write",
    examples=[{"title": "Values by environment", "with": {"command": 'df -h "$FOLDER"', "env": {"FOLDER": "/"}}}],
)
async def shell(
    ctx: Context,
    command: Annotated[
        str,
        Field(title="Command", description="Text for bash -euo pipefail; give values by `env`", multiline=True),
    ] = "",
    argv: Annotated[
        list[str], Field(title="Program and arguments", description="Instead of a command: run without a shell")
    ] = [],  # noqa: B006
    env: Annotated[
        dict[str, Any],
        Field(title="Environment", description="Values for the command: texts, or JSON for the rest"),
    ] = {},  # noqa: B006
    cwd: Annotated[str, Field(title="Folder", description="By default a temporary folder of this attempt")] = "",
    stdin: Annotated[str, Field(title="Standard input", multiline=True)] = "",
    allowed_exit_codes: Annotated[list[int], Field(title="Allowed exit codes", min_items=1)] = [0],  # noqa: B006
    max_output_bytes: Annotated[int, Field(title="Output kept", minimum=0, maximum=2**20)] = 64 * 1024,
) -> ShellResult:
    """Run a command; what it writes is logged as it comes, and the end of it is the step's output.

    Put no expression into the command's text: hand values over by `env` and write `"$NAME"`.
    """
    arguments = argv_of(command, argv)
    ctx.log.debug("running", command=shown(argv) if argv else command[:500])
    ended: Ended = await run_command(
        ctx,
        arguments,
        variables=env,
        folder=cwd,
        stdin=stdin,
        keep_bytes=max_output_bytes,
        allowed=allowed_exit_codes,
    )
    return ShellResult(ended.exit_code, ended.stdout, ended.stderr, ended.truncated)


@module.action(
    title="Transform",
    effects="read",
    examples=[{"title": "A new object", "with": {"value": {"total": "${{ steps.a.output.n + 1 }}"}}}],
)
async def transform(
    value: Annotated[Any, Field(title="Value", description="Any JSON, made of expressions")],
) -> ValueResult:
    """Give a value back: a place to compute something with expressions and name it."""
    return ValueResult(value)


@module.action(
    title="Log",
    effects="read",
    examples=[{"title": "A line with fields", "with": {"message": "done", "fields": {"rows": 3}}}],
)
async def log(
    ctx: Context,
    message: Annotated[str, Field(title="Message", multiline=True)],
    level: Annotated[Level, Field(title="Level")] = "info",
    fields: Annotated[dict[str, Any], Field(title="Fields", description="Values to look for later")] = {},  # noqa: B006
) -> LogResult:
    """Write a line into the run's log."""
    ctx.channel.log(level, "log", message, fields)
    return LogResult(message, level)


@module.action(
    title="Fail",
    effects="read",
    examples=[{"title": "Stop the run", "with": {"message": "the report is empty", "type": "EmptyReport"}}],
)
async def fail(
    message: Annotated[str, Field(title="Message", min_length=1)],
    type: Annotated[str, Field(title="Type", description="What handlers see as error.type")] = "Failed",
    retryable: Annotated[bool, Field(title="May be retried")] = False,
) -> None:
    """Fail the step on purpose, with a message and a type that handlers and retries can look at."""
    if not _TYPE.fullmatch(type):
        raise InvalidInput("a type has letters, digits and _, a letter first, at most 64", "type")
    raise _error_class(type, retryable)(message)


def _error_class(name: str, retryable: bool) -> type[ModuleError]:
    """An error whose class name is the type: that is how the platform names errors."""
    base: type[ModuleError] = ModuleError if retryable else PermanentError
    return type(name, (base,), {})


def _content(json: Any, body: str | None, form: dict[str, Any] | None) -> dict[str, Any]:
    given = {name: value for name, value in (("json", json), ("body", body), ("form", form)) if value is not None}
    if len(given) > 1:
        raise InvalidInput(f"give one of json, body and form, not {' and '.join(given)}", next(iter(given)))
    if body is not None:
        return {"content": body.encode("utf-8")}
    return {"json": json} if json is not None else {"data": form} if form is not None else {}
