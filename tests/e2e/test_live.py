"""The live stream: who was away for a moment misses nothing, who was away too long is told to look again."""

from __future__ import annotations

from .conftest import Platform

FLOW = """
schema: monjolo/flow/v1
id: watched
steps: [{id: say, uses: core/log, with: {message: hi}}]
"""


def events(platform: Platform, wanted: str, last: str | None = None) -> list[tuple[str, str]]:
    """(kind, id) of the stream's events up to the first of this kind."""
    headers = {"authorization": f"Bearer {platform.token}"} | ({"last-event-id": last} if last else {})
    found: list[tuple[str, str]] = []
    number = ""
    query = {"topics": "flow:watched"}
    with platform.client.stream("GET", f"{platform.url}/api/v1/stream", params=query, headers=headers) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("id: "):
                number = line.removeprefix("id: ")
            if line.startswith("event: "):
                found.append((line.removeprefix("event: "), number))
                if found[-1][0] == wanted:
                    return found
    raise AssertionError(f"{wanted} never came: {found}")


def test_what_happened_while_nobody_listened_is_sent_to_who_comes_back(platform: Platform) -> None:
    platform.publish(FLOW)
    [(_, last)] = events(platform, "listening")
    platform.run("watched")
    kinds = [kind for kind, _ in events(platform, "run.finished", last)]
    assert kinds[:2] == ["listening", "run.created"]
    assert "lagged" not in kinds


def test_who_comes_back_with_a_number_of_another_process_is_told_to_look_again(platform: Platform) -> None:
    platform.publish(FLOW)
    kinds = [kind for kind, _ in events(platform, "lagged", "5")]
    assert kinds == ["listening", "lagged"]
