"""web/src/api/schema.ts: the types of the dashboard's API client, from the OpenAPI document of the application.

With --check it writes nothing and fails when the file is old.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from docs_api import document

WEB = Path(__file__).parent.parent / "web"
KEPT = WEB / "src" / "api" / "schema.ts"


def types() -> str:
    with tempfile.TemporaryDirectory() as folder:
        described, written = Path(folder) / "openapi.json", Path(folder) / "schema.ts"
        described.write_text(json.dumps(asyncio.run(document())))
        command = ["node_modules/.bin/openapi-typescript", str(described), "--output", str(written)]
        subprocess.run(command, cwd=WEB, check=True, capture_output=True)
        return written.read_text()


if __name__ == "__main__":
    made = types()
    if "--check" not in sys.argv:
        KEPT.write_text(made)
    elif made != KEPT.read_text():
        sys.exit("web/src/api/schema.ts is old: run `make api-types`")
