"""Build hook: a wheel or an sdist carries the built dashboard, so that who installs it needs no Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and not Path(self.root, "web", "dist", "index.html").is_file():
            raise SystemExit("web/dist is missing: run `make web` first, which builds the dashboard.")
