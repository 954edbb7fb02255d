"""Run an inline Python script in a process of its own, with the dependencies that it names (PEP 723)."""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uv
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from monjolo_sdk import Context, InvalidInput, ModuleError, PermanentError, RetryLater

from .child import describe_exit, log_lines, run_child

_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")
_HARNESS = Path(__file__).with_name("harness.py")
_KEEP_BYTES = 16 * 1024
_MAX_RESULT_BYTES = 64 * 1024 * 1024


class ScriptError(ModuleError):
    """The script raised an exception, or was killed."""


class BrokenScript(PermanentError):
    """The script is no valid Python, or what it gave is not JSON: another attempt cannot help."""


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    dependencies: tuple[str, ...]
    requires_python: str


async def run_script(ctx: Context, script: str, inputs: dict[str, Any]) -> Any:
    """The script's `output`, or what its `main(inputs)` returned. Raises ScriptError or BrokenScript."""
    block = _block_of(script)
    folder = ctx.tmp / "script"
    folder.mkdir(mode=0o700, exist_ok=True)
    source, result = folder / "script.py", folder / "result.json"
    source.write_text(script, encoding="utf-8")
    result.unlink(missing_ok=True)
    argv = _command(block, folder)
    message = json.dumps({"script": str(source), "result": str(result), "inputs": inputs}).encode()
    try:
        ended = await run_child(
            argv,
            environment=_environment(bool(block)),
            folder=ctx.tmp,
            stdin=message,
            keep_bytes=_KEEP_BYTES,
            line=log_lines(ctx),
        )
        return _outcome(result, ended.exit_code, ended.stderr)
    finally:
        result.unlink(missing_ok=True)


def _block_of(script: str) -> _Block | None:
    """The PEP 723 block, or None when the script needs nothing. Raises InvalidInput when it is not valid."""
    matches = list(_BLOCK.finditer(script.replace("\r\n", "\n") + "\n"))
    if not matches:
        return None
    if len(matches) > 1:
        raise InvalidInput("there are several `# /// script` blocks; keep one", "script")
    lines = matches[0]["content"].splitlines()
    try:
        table = tomllib.loads("\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))
        requires = str(table.get("requires-python", ""))
        SpecifierSet(requires)
    except (tomllib.TOMLDecodeError, InvalidSpecifier) as error:
        raise InvalidInput(f"the `# /// script` block is not valid: {error}", "script") from None
    dependencies = table.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise InvalidInput("dependencies in the `# /// script` block must be a list of texts", "script")
    if not dependencies and _fits(requires):
        return None
    return _Block(matches[0][0], tuple(dependencies), requires)


def _fits(requires_python: str) -> bool:
    return SpecifierSet(requires_python).contains(".".join(map(str, sys.version_info[:3])))


def _command(block: _Block | None, folder: Path) -> list[str]:
    if block is None:
        return [sys.executable, "-u", "-B", str(_HARNESS)]
    # uv reads the block from the file that it runs: the harness, with the script's own block before it.
    started = folder / "start.py"
    started.write_text(block.text + "\n" + _HARNESS.read_text(encoding="utf-8"), encoding="utf-8")
    python = ["--python", sys.executable] if _fits(block.requires_python) else []
    return [uv.find_uv_bin(), "run", "--quiet", "--no-project", *python, "--script", str(started)]


def _environment(with_uv: bool) -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    if with_uv:
        # A runner's HOME is thrown away after the attempt; environments are worth keeping.
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        environment.setdefault("UV_CACHE_DIR", str(home / ".cache" / "uv"))
        environment.setdefault("XDG_CONFIG_HOME", str(home / ".config"))
    return environment


def _outcome(result: Path, exit_code: int, stderr: str) -> Any:
    answer = _read(result)
    if answer is None:
        last = stderr.strip().rpartition("\n")[2]
        raise ScriptError(
            f"the script ended without a result: {describe_exit(exit_code)}" + (f": {last}" if last else ""),
            details={"exit_code": exit_code, "stderr": stderr[-4000:]},
        )
    if "error" not in answer:
        return answer.get("output")
    error = answer["error"]
    details = {"type": error["type"], "traceback": error["traceback"]}
    message = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
    if error.get("retry_after") is not None:
        raise RetryLater(float(error["retry_after"]), message, details=details)
    raise (ScriptError if error["retryable"] else BrokenScript)(message, details=details)


def _read(result: Path) -> dict[str, Any] | None:
    """None when the script did not get as far as writing one whole."""
    try:
        if result.stat().st_size > _MAX_RESULT_BYTES:
            raise BrokenScript(f"the output is over {_MAX_RESULT_BYTES // 2**20} MiB; write a file instead")
        answer = json.loads(result.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
