"""The part of curl that the examples use, for machines that have none."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-f", "--fail", action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("-o", "--output")
    parser.add_argument("-u", "--user")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary")
    given = parser.parse_args()
    data = given.data
    if data is not None:
        data = Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in given.header)}
    request = urllib.request.Request(given.url, data=data, headers=headers, method=given.request)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content, failed = answer.read(), False
    except urllib.error.HTTPError as error:
        content, failed = error.read(), True
    if failed and given.fail:
        return 22
    if given.output:
        Path(given.output).write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
