"""Flows: a version that was published never changes, what is refused changes nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from monjolo.domains.runs.models import NewRun
from monjolo.kit.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, PreconditionFailed
from monjolo.kit.ids import new_id

if TYPE_CHECKING:
    from .conftest import Platform

SOURCE = """\
schema: monjolo/flow/v1
id: relatorio  # o nome
name: Relatório
labels: {time: pessoal}
steps:
  - {id: a, uses: core/log, with: {message: olá}}
"""


async def put(platform: Platform, source: str = SOURCE, **more: Any) -> Any:
    return await platform.flows.publish(platform.workspace, source=source, actor="ana", **more)


async def stored(platform: Platform) -> list[Any]:
    tables = ("flows", "flow_versions", "triggers", "audit", "events")
    return [await platform.rows(f"SELECT * FROM {table}") for table in tables]


async def test_publishing_makes_a_flow_and_its_first_version(platform: Platform) -> None:
    published = await put(platform, message="primeira")
    assert published.created
    assert (published.head.slug, published.head.name, published.head.state) == ("relatorio", "Relatório", "active")
    head, version = await platform.flows.current(platform.workspace, "relatorio")
    assert (version.number, version.source, version.message, version.author) == (1, SOURCE, "primeira", "ana")
    assert version.resolved["core/log"]["digest"] == "sha256:abc"
    assert head.labels == {"time": "pessoal"}


async def test_the_same_document_makes_no_new_version_and_keeps_a_new_comment(platform: Platform) -> None:
    await put(platform)
    again = await put(platform, SOURCE.replace("# o nome", "# outro comentário"))
    assert again.unchanged
    head, version = await platform.flows.current(platform.workspace, "relatorio")
    assert (head.version, head.revision) == (1, 1)
    assert "outro comentário" in version.source


async def test_another_document_makes_the_next_version_and_the_old_one_stays(platform: Platform) -> None:
    await put(platform)
    await put(platform, SOURCE.replace("olá", "oi"))
    found, total = await platform.flows.versions(platform.workspace, "relatorio")
    assert ([version.number for version in found], total) == ([2, 1], 2)
    old = await platform.flows.version(platform.workspace, "relatorio", 1)
    assert old.document["steps"][0]["with"] == {"message": "olá"}


async def test_a_document_may_come_as_an_object(platform: Platform) -> None:
    document = {
        "schema": "monjolo/flow/v1", "id": "b", "name": "yes", "steps": [{"id": "a", "uses": "core/log"}],
    }  # fmt: skip
    await platform.flows.publish(platform.workspace, document=document, actor="ana")
    _, version = await platform.flows.current(platform.workspace, "b")
    assert version.document == document


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "empty"),
        ("a: [", "syntax_error"),
        (SOURCE + "quem: eu\n", "unknown_key"),
        (SOURCE.replace("core/log", "nada/log"), "unknown_action"),
        (SOURCE + "name: dois\n", "duplicate_key"),
    ],
)
async def test_a_document_with_problems_is_refused_and_nothing_changes(
    platform: Platform, source: str, code: str
) -> None:
    await put(platform)
    before = await stored(platform)
    with pytest.raises(InvalidInput) as refused:
        await put(platform, source)
    assert code in {problem.code for problem in refused.value.errors}
    assert all(problem.line for problem in refused.value.errors)
    assert await stored(platform) == before


async def test_the_address_and_the_document_must_agree(platform: Platform) -> None:
    with pytest.raises(InvalidInput) as refused:
        await put(platform, slug="outro")
    assert refused.value.code == "flow_id_mismatch"
    with pytest.raises(InvalidInput):
        await platform.flows.publish(platform.workspace, actor="ana")


async def test_a_text_over_a_mebibyte_is_refused(platform: Platform) -> None:
    with pytest.raises(PayloadTooLarge):
        await put(platform, SOURCE + "#" * (1 << 20))


async def test_a_new_flow_does_not_overwrite_one_of_the_same_name(platform: Platform) -> None:
    await put(platform, new=True)
    with pytest.raises(Conflict) as refused:
        await put(platform, new=True)
    assert refused.value.code == "flow_exists"


async def test_of_two_edits_of_the_same_revision_one_is_refused(platform: Platform) -> None:
    await put(platform)

    def expects(revision: int) -> None:
        if revision != 1:
            raise PreconditionFailed("it moved on")

    edits = [put(platform, SOURCE.replace("olá", f"oi {n}"), expects=expects) for n in range(5)]
    outcomes = await asyncio.gather(*edits, return_exceptions=True)
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 4
    assert (await platform.flows.by_slug(platform.workspace, "relatorio")).version == 2


async def test_a_draft_stands_beside_what_is_published_until_it_is_published(platform: Platform) -> None:
    await put(platform)
    changed = SOURCE.replace("olá", "oi") + "triggers: [{id: t, type: interval, every: 1m}]\n"
    drafted = await put(platform, changed, draft=True)
    assert (drafted.head.version, drafted.head.draft) == (1, 2)
    assert await platform.rows("SELECT id FROM triggers") == []
    flow = await platform.flows.compiled(drafted.head.id)
    assert flow.version == 1
    assert (await platform.flows.compiled(drafted.head.id, 2)).version == 2
    published = await put(platform, changed)
    assert (published.head.version, published.head.draft, published.version.draft) == (2, None, False)
    assert len(await platform.rows("SELECT id FROM triggers")) == 1


async def test_a_flow_that_is_only_a_draft_runs_on_demand_and_cannot_be_paused(platform: Platform) -> None:
    drafted = await put(platform, draft=True)
    assert drafted.head.state == "draft"
    assert (await platform.flows.compiled(drafted.head.id)).version == 1
    with pytest.raises(Conflict):
        await platform.flows.pause(platform.workspace, "relatorio", None, actor="ana")
    assert (await put(platform)).head.state == "active"


async def test_a_compiled_version_is_answered_from_memory_and_follows_each_change(platform: Platform) -> None:
    head = (await put(platform)).head
    first = await platform.flows.compiled(head.id)
    assert (await platform.flows.compiled(head.id)).compiled is first.compiled
    await platform.flows.pause(platform.workspace, "relatorio", "x", actor="ana")
    paused = await platform.flows.compiled(head.id)
    assert (paused.state, paused.compiled) == ("paused", first.compiled)
    await put(platform, SOURCE.replace("olá", "oi"))
    after = await platform.flows.compiled(head.id)
    assert (after.version, after.state) == (2, "paused")


async def test_pausing_and_resuming_are_told_in_the_audit_and_as_events(platform: Platform) -> None:
    await put(platform)
    await platform.flows.pause(platform.workspace, "relatorio", "férias", actor="ana")
    await platform.flows.pause(platform.workspace, "relatorio", "férias", actor="ana")
    await platform.flows.resume(platform.workspace, "relatorio", actor="ana")
    audit = await platform.rows("SELECT action, object FROM audit ORDER BY id")
    assert [row["action"] for row in audit] == ["flow.published", "flow.paused", "flow.resumed"]
    assert {row["object"] for row in audit} == {"flow:relatorio"}
    events = await platform.rows("SELECT type FROM events ORDER BY id")
    assert [row["type"] for row in events] == ["flow.published", "flow.paused", "flow.resumed"]


async def test_restoring_publishes_the_old_text_as_the_newest_version(platform: Platform) -> None:
    await put(platform)
    await put(platform, SOURCE.replace("olá", "oi"))
    restored = await platform.flows.restore(platform.workspace, "relatorio", 1, actor="ana")
    assert (restored.version.number, restored.version.source) == (3, SOURCE)
    assert restored.version.message == "Restored version 1"


async def test_a_flow_with_live_runs_is_deleted_by_force_only(platform: Platform) -> None:
    head = (await put(platform)).head
    await platform.database.write(lambda c: platform.runs.insert(c, [_run(head.id)]))
    with pytest.raises(Conflict) as refused:
        await platform.flows.delete(platform.workspace, "relatorio", actor="ana")
    assert refused.value.code == "flow_has_live_runs"
    await platform.flows.delete(platform.workspace, "relatorio", actor="ana", force=True)
    with pytest.raises(NotFound):
        await platform.flows.by_slug(platform.workspace, "relatorio")
    with pytest.raises(NotFound):
        await platform.flows.compiled(head.id)
    gone = await platform.flows.compiled(head.id, 1)
    assert gone.slug == "relatorio"
    assert (await put(platform)).head.id != head.id


def _run(flow_id: str) -> Any:
    return SimpleNamespace(id=new_id(), new=NewRun(flow_id=flow_id, inputs={}, trigger={}))


async def test_a_flow_of_another_workspace_is_not_there(platform: Platform) -> None:
    await put(platform)
    with pytest.raises(NotFound):
        await platform.flows.by_slug("another", "relatorio")
    assert await platform.flows.list_flows("another") == ([], 0)


async def test_flows_are_listed_by_state_words_and_labels(platform: Platform) -> None:
    for slug, team in (("um", "a"), ("dois", "b"), ("tres", "b")):
        text = SOURCE.replace("relatorio", slug).replace("pessoal", team)
        await put(platform, text.replace("Relatório", f"Flow {slug}"))
    await platform.flows.pause(platform.workspace, "um", None, actor="ana")

    async def slugs(**filters: Any) -> list[str]:
        found, _ = await platform.flows.list_flows(platform.workspace, **filters)
        return [head.slug for head in found]

    assert await slugs() == ["dois", "tres", "um"]
    assert await slugs(state="paused") == ["um"]
    assert await slugs(q="FLOW D") == ["dois"]
    assert await slugs(q="%") == []
    assert await slugs(label=("time", "b")) == ["dois", "tres"]
    assert await slugs(label=("time", None), after="dois", limit=1) == ["tres"]
    assert (await platform.flows.list_flows(platform.workspace, limit=1))[1] == 3


async def test_validation_tells_all_problems_and_stores_nothing(platform: Platform) -> None:
    problems = await platform.flows.validate(platform.workspace, SOURCE + "x: 1\ny: 2\n")
    assert {(p.path, p.line) for p in problems} >= {("x", 7), ("y", 8)}
    assert await platform.rows("SELECT id FROM flows") == []


async def test_each_change_is_told_so_that_schedules_look_again_at_once(platform: Platform) -> None:
    told: list[int] = []
    platform.flows.changed = lambda: told.append(1)
    await put(platform)
    await platform.flows.pause(platform.workspace, "relatorio", None, actor="ana")
    await platform.flows.resume(platform.workspace, "relatorio", actor="ana")
    await platform.flows.delete(platform.workspace, "relatorio", actor="ana")
    assert len(told) == 4
