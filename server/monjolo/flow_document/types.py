# ruff: noqa: RUF009 -- `entry` gives a dataclass field
"""The flow document, v1: every key that may stand in it, with its shape and what it does.

The JSON Schema, the checks, the reference page and the compiler all read this file. A key that is not here
is refused. Python's own words carry an underscore: `if_` is the key `if`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from monjolo.flow_document.shapes import (
    Anything,
    Boolean,
    Duration,
    Either,
    Expression,
    Integer,
    JsonSchema,
    ListOf,
    MapOf,
    Moment,
    Number,
    OneOf,
    Record,
    Tagged,
    Text,
    entry,
)

SCHEMA = "monjolo/flow/v1"
HANDLERS = ("on_success", "on_failure", "on_cancel", "finally")
LONGEST_WAIT = 300_000_000  # microseconds that a caller may wait for the end of a run

SLUG = Text(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", "a slug: a-z, 0-9 and hyphens, at most 64 characters")
STEP_ID = Text(r"[a-z][a-z0-9_]{0,62}", "a step id: a letter, then a-z, 0-9 and _")
NAME = Text(r"[A-Za-z_][A-Za-z0-9_.-]{0,126}", "a name: a letter, then letters, digits, `_`, `.` and `-`")
LOCAL = Text(r"[a-z][a-z0-9_]{0,62}", "a name: a letter, then a-z, 0-9 and _")
USES = Text(
    r"[a-z][a-z0-9_]*(?:@[0-9]+(?:\.[0-9]+){0,2}(?:[-+.][0-9A-Za-z.-]+)?)?/[a-z][a-z0-9_]*",
    "an action: `module/action`, `module@1/action` or `module@1.4.2/action`",
)
TRIGGER_ID = Text(r"[a-z0-9][a-z0-9_-]{0,62}", "a trigger id: a-z, 0-9, `_` and `-`")
EVENT = Text(r"[A-Za-z0-9_.:-]{1,128}", "an event name such as run.failed")
WORDS = Text(longest=20_000)

_STEPS = ListOf(Record(lambda: Step), longest=2_000)
_MADE = ListOf(Record(lambda: Step), shortest=1, longest=2_000)


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed step is tried again."""

    max_attempts: int = entry(Integer(1, 1_000), "How many attempts there are; the first try counts.", 3)
    backoff: str = entry(
        OneOf(("constant", "linear", "exponential")),
        "How the delay grows from attempt to attempt.",
        "exponential",
    )
    delay: int = entry(Duration(zero=True), "The delay before the second attempt. Default 1s.", 1_000_000)
    factor: float = entry(Number(1, 100), "What the delay is multiplied by, for `exponential`.", 2.0)
    max_delay: int = entry(Duration(), "No delay is longer than this. Default 1m.", 60_000_000)
    jitter: float = entry(Number(0, 1), "How much of the delay is drawn at random, 0 to 1.", 0.0)
    max_elapsed: int | None = entry(Duration(), "No attempt begins later than this after the first one.")
    if_: str | bool | None = entry(Expression(), "Try again only when this is true; it sees `error`.")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many may run at the same time, and what happens to the next one."""

    limit: int = entry(Integer(1, 100_000), "How many may run at once under the same key.", 1)
    key: str | None = entry(Text(), "Text that names what is limited, such as `${{ inputs.repo }}`.")
    on_limit: str = entry(
        OneOf(("queue", "skip", "cancel_running", "fail")),
        "What happens to one that is over the limit.",
        "queue",
    )
    max_queued: int | None = entry(
        Integer(1, 100_000), "How many may wait, with `on_limit: queue`; one more fails, as `queue_full`."
    )
    coalesce: str = entry(
        OneOf(("none", "newest", "oldest")),
        "Which stay when more wait than `max_queued` (here 1, if it is not written): the others are skipped.",
        "none",
    )


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for every step that sets none of its own."""

    retry: Retry | None = entry(Record(lambda: Retry), "The retry of every step that sets none.")
    timeout: int | None = entry(Duration(), "The timeout of every step that sets none.")
    queue_timeout: int | None = entry(Duration(), "The queue timeout of every step that sets none.")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the past of a flow is kept."""

    runs: int | None = entry(Integer(1, 10_000_000), "Keep at most this many ended runs.")
    days: int | None = entry(Integer(1, 36_500), "Keep ended runs for this many days.")
    logs: int | None = entry(Integer(1, 36_500), "Keep the logs of ended runs for this many days.")


@dataclass(frozen=True, slots=True)
class ForEach:
    """Runs the step once for each item of a list."""

    items: Any = entry(Anything(), "The list: an expression or a literal list.", required=True)
    as_: str = entry(LOCAL, "The name of the item in expressions; `index` is its place, from 0.", "item")
    max_parallel: int = entry(Integer(1, 10_000), "How many items run at once.", 16)
    batch_size: int = entry(Integer(1, 10_000), "Items handed over together; above 1 the name is a list.", 1)
    on_item_error: str = entry(OneOf(("fail", "skip", "collect")), "What a failed item does to the step.", "fail")


@dataclass(frozen=True, slots=True)
class Switch:
    """Runs the list of steps whose name equals the value."""

    value: Any = entry(Anything(), "The value that chooses, usually one expression.", required=True)
    cases: dict[str, tuple[Step, ...]] = entry(MapOf(_MADE, 1), "The lists of steps by value.", {}, required=True)
    default: tuple[Step, ...] | None = entry(_MADE, "The steps when no case fits. Without it, none run.")


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that succeed or fail as one, with handlers of their own."""

    steps: tuple[Step, ...] = entry(_MADE, "The steps of the group.", (), required=True)
    on_success: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when the group's steps have succeeded.")
    on_failure: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when one of them has failed.")
    on_cancel: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when the group is cancelled.")
    finally_: tuple[Step, ...] | None = entry(_STEPS, "Steps that run last, whatever happened.")


@dataclass(frozen=True, slots=True)
class Subflow:
    """Runs another flow as one step."""

    flow: str = entry(SLUG, "The id of the flow.", "", required=True)
    version: int | None = entry(Integer(1), "Its version. Without it, the one published when the step starts.")
    inputs: dict[str, Any] | None = entry(MapOf(Anything()), "The inputs of its run.")
    wait: bool = entry(Boolean(), "Whether the step waits for the run to end.", True)
    propagate_failure: bool = entry(Boolean(), "Whether its failure is the step's failure.", True)


@dataclass(frozen=True, slots=True)
class While:
    """Does the steps again and again, for as long as a condition holds. Instead of `steps` it takes one `uses`."""

    if_: str | bool | None = entry(
        Expression(),
        "Before each iteration: whether there is one more. It sees the last one's steps; `index` counts from 0.",
        required=True,
    )
    max_iterations: int = entry(Integer(1, 1_000_000), "When it still holds after so many, the step fails.", 1_000)
    interval: int | None = entry(Duration(), "The pause between two iterations.")
    steps: tuple[Step, ...] | None = entry(_MADE, "The steps of each iteration.")


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Waits until an event comes. The output is the event: `id`, `type`, `source`, `at` and `data`."""

    event: str = entry(EVENT, "Its name.", "", required=True)
    when: str | bool | None = entry(Expression(), "Only an event for which this is true; it sees it as `event`.")
    timeout: int | None = entry(Duration(), "After this long the wait ends as `timed_out`. Without it, never.")


@dataclass(frozen=True, slots=True)
class Return:
    """Ends the run with success at once."""

    outputs: dict[str, Any] | None = entry(MapOf(Anything()), "The outputs of the run.")


@dataclass(frozen=True, slots=True)
class Fail:
    """Fails the step with an error of its own."""

    message: str = entry(Text(), "What is wrong, for people.", "", required=True)
    type: str = entry(NAME, "The type of the error, for `retry.if` and handlers.", "FlowFailure")
    details: Any = entry(Anything(), "Anything else that a handler may want.")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: an action, or one control construct."""

    id: str = entry(STEP_ID, "The step's name, unique in the document.", "", required=True)
    uses: str | None = entry(USES, "The action to run: `module/action`, or `module@1/action`.")
    with_: dict[str, Any] | None = entry(MapOf(Anything()), "The inputs of the action.")
    needs: tuple[str, ...] | None = entry(
        ListOf(STEP_ID), "The steps to wait for. Without it, the step above; `[]` starts at once."
    )
    if_: str | bool | None = entry(Expression(), "The step runs only when this is true, else it is skipped.")
    run_when: str = entry(
        OneOf(("all_success", "all_done", "one_failed", "none_failed", "always")),
        "How the steps it needs must have ended.",
        "all_success",
    )
    for_each: ForEach | None = entry(Record(lambda: ForEach), "Run once for each item of a list.")
    steps: tuple[Step, ...] | None = entry(_MADE, "The steps of each item, beside `for_each`.")
    while_: While | None = entry(Record(lambda: While), "Run again and again while a condition holds.")
    switch: Switch | None = entry(Record(lambda: Switch), "Choose a list of steps by a value.")
    group: Group | None = entry(Record(lambda: Group), "Steps that stand or fall together.")
    subflow: Subflow | None = entry(Record(lambda: Subflow), "Run another flow.")
    sleep: str | float | None = entry(Either(Text(), Number()), "Wait this long: a duration, seconds or an expression.")
    sleep_until: str | None = entry(Text(), "Wait until this instant: RFC 3339 or an expression.")
    wait_for: WaitFor | None = entry(Record(lambda: WaitFor), "Wait for an event.")
    return_: Return | None = entry(Record(lambda: Return), "End the run with success.")
    fail: str | Fail | None = entry(Either(Text(shortest=1), Record(lambda: Fail)), "Fail with a message.")
    retry: Retry | None = entry(Record(lambda: Retry), "Try again after a failure.")
    timeout: int | None = entry(Duration(), "The attempt ends after this long, as `timed_out`.")
    queue_timeout: int | None = entry(Duration(), "The longest wait for a worker.")
    continue_on_error: bool = entry(Boolean(), "The run goes on although the step failed.", False)
    delivery: str = entry(
        OneOf(("at_least_once", "at_most_once")), "What a worker's death in the middle means.", "at_least_once"
    )
    max_crashes: int = entry(Integer(0, 100), "Further attempts after a lost worker, besides `max_attempts`.", 3)
    concurrency: Concurrency | None = entry(Record(lambda: Concurrency), "How many of this step run at once.")
    LATER: ClassVar[dict[str, str]] = {
        "approve": "",
        "runs_on": "",
        "priority": "",
        "condition": "; write `if`",
    }


@dataclass(frozen=True, slots=True)
class Trigger:
    """What all triggers have."""

    id: str = entry(TRIGGER_ID,
                  "The trigger's name, unique in the flow.", "", required=True)  # fmt: skip
    type: str = entry(OneOf(("manual", "schedule", "interval", "webhook", "event")), "Its kind.", "", required=True)
    enabled: bool = entry(Boolean(), "Whether it fires.", True)
    inputs: dict[str, Any] | None = entry(MapOf(Anything()), "The inputs of the run that it starts.")
    when: str | bool | None = entry(Expression(), "It starts a run only when this is true.")
    LATER: ClassVar[dict[str, str]] = {"priority": ""}


@dataclass(frozen=True, slots=True)
class ManualTrigger:
    """A person, the API or the command line starts the run. It is always there, so nothing else can be said of it."""

    id: str = entry(TRIGGER_ID, "The trigger's name, unique in the flow.", "", required=True)
    type: str = entry(OneOf(("manual",)), "Its kind.", "", required=True)
    enabled: ClassVar[bool] = True
    inputs: ClassVar[None] = None
    when: ClassVar[None] = None
    LATER: ClassVar[dict[str, str]] = {"inputs": "; give the input a default", "enabled": "", "when": ""}


@dataclass(frozen=True, slots=True)
class ScheduleTrigger(Trigger):
    """Runs by the clock of a time zone."""

    cron: str = entry(Text(shortest=1, longest=200), "5 or 6 fields, or @hourly, @daily, @weekly, @monthly, @yearly.",
                    "", required=True)  # fmt: skip
    timezone: str = entry(Text(longest=64), "An IANA time zone, such as America/Sao_Paulo.", "UTC")
    jitter: int | None = entry(Duration(), "Start up to this much later, at random.")
    start_at: int | None = entry(Moment(), "Nothing before this instant.")
    end_at: int | None = entry(Moment(), "Nothing after this instant.")
    misfire: str = entry(OneOf(("all", "last", "skip")), "Which missed instants are made up for.", "last")
    misfire_grace: int | None = entry(Duration(), "An instant later than this is missed.")
    misfire_max: int = entry(Integer(1, 10_000), "At most this many missed instants are made up for.", 100)


@dataclass(frozen=True, slots=True)
class IntervalTrigger(Trigger):
    """Runs every so often."""

    every: int = entry(Duration(), "The time between two runs.", 0, required=True)
    anchor: int | None = entry(Moment(), "An instant that the intervals are counted from.")


@dataclass(frozen=True, slots=True)
class WebhookAuth:
    """How a caller proves itself."""

    type: str = entry(OneOf(("none", "token", "basic", "hmac")), "Its kind.", "none", required=True)
    secret: str | None = entry(Text(), "`${{ secrets.name }}`: the token, `user:password`, or the HMAC key.")
    header: str | None = entry(Text(r"[A-Za-z0-9-]{1,64}", "a header name"), "The header with the token or signature.")
    algorithm: str = entry(OneOf(("sha256", "sha512", "sha1")), "The digest of the HMAC.", "sha256")
    encoding: str = entry(OneOf(("hex", "base64")), "How the signature is written.", "hex")
    tolerance: int | None = entry(Duration(), "How old a signed time stamp may be.")


@dataclass(frozen=True, slots=True)
class WebhookTrigger(Trigger):
    """A call from outside starts the run."""

    path: str | None = entry(
        Text(r"[A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_-]{1,64}){0,5}", "a path such as github/push"),
        "The end of its address. Default: the flow and the trigger.",
    )
    methods: tuple[str, ...] = entry(
        ListOf(OneOf(("GET", "POST", "PUT", "PATCH", "DELETE")), 1),
        "The HTTP methods. Default POST.",
        ("POST",),
    )
    auth: WebhookAuth | str = entry(
        Either(OneOf(("none",)), Record(lambda: WebhookAuth)),
        "How a caller proves itself.",
        "none",
        required=True,
    )
    dedupe_key: str | None = entry(Text(), "Text that is the same for a call that is sent twice.")
    respond: str = entry(
        OneOf(("async", "sync")),
        "`async` answers when the run is stored, `sync` when it has ended, with its outputs.",
        "async",
    )
    wait: int | None = entry(Duration(), "With `respond: sync`, the longest wait of the caller: 30s, at most 5m.")


@dataclass(frozen=True, slots=True)
class EventTrigger(Trigger):
    """An event of the platform, or one that an application posts, starts the run."""

    event: str = entry(EVENT, "Its name.", "", required=True)


TRIGGERS: dict[str, type] = {
    "manual": ManualTrigger,
    "schedule": ScheduleTrigger,
    "interval": IntervalTrigger,
    "webhook": WebhookTrigger,
    "event": EventTrigger,
}


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow document."""

    schema: str = entry(OneOf((SCHEMA,)), "Which format this is.", SCHEMA, required=True)
    id: str = entry(SLUG, "The flow's name in addresses, unique in its workspace.", "", required=True)
    name: str | None = entry(Text(longest=200), "What people read.")
    description: str | None = entry(WORDS, "What the flow is for.")
    labels: dict[str, str] = entry(MapOf(Text(longest=200)), "Words to find and group flows by.", {})
    inputs: dict[str, Any] | None = entry(JsonSchema(), "JSON Schema of the run's inputs, and its form.")
    vars: tuple[str, ...] = entry(ListOf(NAME), "The workspace variables that the flow reads.", ())
    triggers: tuple[Any, ...] = entry(ListOf(Tagged("type", lambda: TRIGGERS), longest=100), "What starts a run.", ())
    concurrency: Concurrency | None = entry(Record(lambda: Concurrency), "How many runs at once.")
    timeout: int | None = entry(Duration(), "The run ends after this long, as `timed_out`.")
    defaults: Defaults | None = entry(Record(lambda: Defaults), "What holds for every step that sets none.")
    steps: tuple[Step, ...] = entry(_MADE, "What is done, in order.", (), required=True)
    on_success: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when the run's steps have succeeded.")
    on_failure: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when one has failed; they see `error`.")
    on_cancel: tuple[Step, ...] | None = entry(_STEPS, "Steps that run when the run is cancelled.")
    finally_: tuple[Step, ...] | None = entry(_STEPS, "Steps that run last, whatever happened.")
    outputs: dict[str, Any] | None = entry(MapOf(Anything()), "The outputs of the run, by name.")
    retention: Retention | None = entry(Record(lambda: Retention), "How long its runs are kept.")
    priority: int | None = entry(
        Integer(0, 100),
        "Who is served first when many wait; a minute of waiting makes up for one point. "
        "Default 50, or that of the run that called it.",
    )
    LATER: ClassVar[dict[str, str]] = {
        "runs_on": "",
        "queue_timeout": "; write it under `defaults`",
    }


FLOW = Record(lambda: Flow)
