"""What `monjolo module new` writes: a module that works, its test, its read-me."""

from __future__ import annotations

_MODULE = '''{block}"""Say hello: the smallest module. Replace this text; it is the module's description."""

from typing import Annotated, TypedDict

from monjolo_sdk import Context, Field, Module

module = Module("{id}", version="0.1.0", title="{title}")


class Greeting(TypedDict):
    text: str
    letters: int


@module.action(title="Greet somebody", effects="read", examples=[{{"name": "Ana"}}])
async def greet(
    ctx: Context,
    name: Annotated[str, Field(title="Name", description="Who is greeted", min_length=1)],
    times: Annotated[int, Field(title="Times", description="How often", minimum=1, maximum=10)] = 1,
) -> Greeting:
    """Greet somebody, once or more often."""
    ctx.log.info("greeting", name=name, times=times)
    text = " ".join([f"Hello, {{name}}!"] * times)
    return {{"text": text, "letters": len(text)}}
'''

_BLOCK = """# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""

_TEST = '''"""monjolo module test {target}"""

import pytest
from {module} import module
from monjolo_sdk import InvalidInput
from monjolo_sdk.testing import run_sync


def test_it_greets_as_often_as_asked() -> None:
    outcome = run_sync(module, "greet", name="Ana", times=2)
    assert outcome.output == {{"text": "Hello, Ana! Hello, Ana!", "letters": 23}}
    assert "greeting" in outcome.texts


def test_a_name_is_needed() -> None:
    with pytest.raises(InvalidInput):
        run_sync(module, "greet", name="")
'''

_README = """# {title}

What this module does, in a sentence or two.

## Actions

| Action | What it does |
|---|---|
| `{id}/greet` | Greets somebody, once or more often. |

## In a flow

```yaml
steps:
  - id: hello
    uses: {id}/greet
    with:
      name: Ana
```

## Working on it

```
monjolo module check {target}
monjolo module test {target}
monjolo module run {target} greet --with name=Ana
```

To use it, copy it into the modules folder; it is live within a second.
"""

_PYPROJECT = """[project]
name = "monjolo-module-{dashed}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []

[project.entry-points."monjolo.modules"]
{id} = "module:module"
"""

_ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none"
  stroke="currentColor" stroke-width="1.75">
  <circle cx="12" cy="12" r="9"/><path d="M8 13c1 2 2.5 3 4 3s3-1 4-3M9 9h.01M15 9h.01" stroke-linecap="round"/>
</svg>
"""


def new_module(module_id: str, *, folder: bool) -> dict[str, str]:
    """The files of a new module, by name. `folder` is for one that is to grow."""
    title = module_id.replace("_", " ").capitalize()
    names = {
        "id": module_id,
        "title": title,
        "dashed": module_id.replace("_", "-"),
        "module": "module" if folder else module_id,
        "target": module_id if folder else f"{module_id}.py",
        "block": "" if folder else _BLOCK,
    }
    if not folder:
        files = {f"{module_id}.py": _MODULE, f"test_{module_id}.py": _TEST, f"{module_id}.md": _README}
    else:
        files = {
            f"{module_id}/module.py": _MODULE,
            f"{module_id}/test_module.py": _TEST,
            f"{module_id}/README.md": _README,
            f"{module_id}/pyproject.toml": _PYPROJECT,
        }
    written = {name: template.format(**names) for name, template in files.items()}
    if folder:
        written[f"{module_id}/icon.svg"] = _ICON
    return written
