"""Where a runner starts: `<python> -I <folder>/monjolo_sdk/runner/main.py`.

Only the package `monjolo_sdk` is added to what the environment can import, not the folder it lies in: that
may be the platform's own site-packages, which a module with an environment of its own must not see.
"""

import importlib
import importlib.util
import os
import sys

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (pathlib is slow)


def add_package() -> None:
    """Make `monjolo_sdk` importable from exactly this copy."""
    spec = importlib.util.spec_from_file_location(
        "monjolo_sdk",
        os.path.join(PACKAGE, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[PACKAGE],
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"no SDK in {PACKAGE}")
    package = importlib.util.module_from_spec(spec)
    sys.modules["monjolo_sdk"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    add_package()
    importlib.import_module("monjolo_sdk.runner.serve").main()
