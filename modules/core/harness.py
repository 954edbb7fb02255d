"""Runs the script in its own process. Standard library only: it may stand in an environment of its own.

Gets `{script, result, inputs}` as JSON on standard input; writes `{output}` or `{error}` to the file `result`.
"""

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import traceback


def main() -> int:
    job = json.load(sys.stdin)
    sys.stdin.close()
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - it stays open for the script
    answer = _answer(job["script"], job["inputs"])
    partial = job["result"] + ".partial"
    with open(partial, "w", encoding="utf-8") as file:  # noqa: PTH123 - quicker to start than pathlib
        file.write(answer)
    os.replace(partial, job["result"])  # noqa: PTH105
    sys.stdout.flush()
    return 0


def _answer(path: str, inputs: object) -> str:
    try:
        output = _run(path, inputs)
    except SystemExit as stop:
        if stop.code not in (None, 0):
            return _failure(stop, f"the script called sys.exit({stop.code!r})")
        output = getattr(sys.modules.get("script"), "output", None)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.filename == path else ""
        return _failure(error, f"{where}{error.msg}", retryable=error.filename != path)
    except BaseException as error:
        return _failure(error, str(error))
    try:
        return json.dumps({"output": output}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the output is not JSON: {error}"
        return _failure(error, message, retryable=False)


def _run(path: str, inputs: object) -> object:
    spec = importlib.util.spec_from_file_location("script", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules["script"] = module
    sys.argv = [path]
    module.inputs = inputs  # type: ignore[attr-defined]
    spec.loader.exec_module(module)
    function = getattr(module, "main", None)
    if callable(function) and not hasattr(module, "output"):
        result = function(inputs) if inspect.signature(function).parameters else function()
        return asyncio.run(result) if inspect.iscoroutine(result) else result
    return getattr(module, "output", None)


def _failure(error: BaseException, message: str, retryable: bool = True) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(frame.filename)]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(type(error), error)]
    return json.dumps(
        {
            "error": {
                "type": type(error).__name__,
                "message": message,
                "traceback": "Traceback (most recent call last):\n" + "".join(lines),
                "retryable": bool(getattr(error, "retryable", retryable)),
                "retry_after": getattr(error, "retry_after", None),
            }
        }
    )


def _is_theirs(filename: str) -> bool:
    return filename != __file__ and not filename.startswith("<frozen importlib")


if __name__ == "__main__":
    sys.exit(main())
