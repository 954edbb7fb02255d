"""Every setting: typed, grouped, described. From flags, then the environment, then a TOML file, then defaults.

`MONJOLO_PORT`, or `port` in the file; for a group `MONJOLO_LOG_LEVEL`, or `level` under `[log]`. The file is
named by `--config` or `MONJOLO_CONFIG`, else it is `monjolo.toml` in the data folder, if there is one.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from monjolo.kit.errors import InvalidInput, Problem
from monjolo.kit.time import MINUTE, SECOND, format_duration, parse_duration, parse_size

PREFIX = "MONJOLO_"


def _read(parse: Callable[[str], int]) -> Callable[[Any], Any]:
    return lambda value: parse(value) if isinstance(value, str) else value


def _list(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - links stay as they are written


_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def _address(value: str) -> str:
    parts = urlsplit(value)
    plain = _PLAIN_PATH.fullmatch(parts.path.rstrip("/")) and not parts.query and not parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("write it like https://monjolo.example.org or https://example.org/monjolo")
    return value.rstrip("/")


def _network(value: str) -> str:
    return str(ip_network(value, strict=False)) if value[:1].isdigit() or ":" in value else value.lower()


Size = Annotated[int, BeforeValidator(_read(parse_size)), Field(ge=1024, json_schema_extra={"unit": "size"})]
Duration = Annotated[int, BeforeValidator(_read(parse_duration)), Field(json_schema_extra={"unit": "duration"})]
Folder = Annotated[Path, AfterValidator(_absolute)]
Url = Annotated[str, AfterValidator(_address)]
Networks = Annotated[list[Annotated[str, AfterValidator(_network)]], NoDecode, BeforeValidator(_list)]


def format_size(size: int) -> str:
    """The shortest exact form: 1073741824 -> `1GiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("MB", 10**6), ("kB", 10**3)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def default_data_folder() -> Path:
    """`$XDG_DATA_HOME/monjolo`, by default ~/.local/share/monjolo."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return _absolute(Path(home) / "monjolo")


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LogSettings(Group):
    """What the platform says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least level written.")
    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or one JSON object a line.")


class HttpSettings(Group):
    """The API's door."""

    webhook_body_limit: Size = Field(default=1_000_000, description="The largest body of a webhook's call, in bytes.")
    open_metrics: bool = Field(default=False, description="Whether /metrics answers without a token.")


class WorkerSettings(Group):
    """The worker inside `monjolo up`."""

    runners: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Runner processes of one module at most: so many of its synchronous steps run at once.",
    )
    idle: Duration = Field(
        default=10 * MINUTE, ge=SECOND, description="How long a warm runner waits for the next step before it ends."
    )
    memory: Size = Field(
        default=1 << 30, description="What idle warm runners may hold together; beyond it the least used end."
    )


class StepSettings(Group):
    """What one attempt of a step may use."""

    memory_limit: Size = Field(default=1 << 30, ge=64 << 20, description="Memory of the step's process group.")
    log_limit: Size = Field(default=10 << 20, description="Log lines of one attempt; more are counted, not kept.")
    output_limit: Size = Field(default=1 << 20, description="The output as JSON; a larger one fails the attempt.")


class RunSettings(Group):
    """What a run may be given."""

    inputs_limit: Size = Field(default=1 << 20, description="The inputs of a run as JSON; larger ones are refused.")


class EgressSettings(Group):
    """Where requests may go that flows make. Public addresses are open; private ones are closed."""

    allow: Networks = Field(
        default_factory=list,
        description="Private networks (10.0.0.0/8) and host names that requests may reach besides, by commas.",
    )


class ScheduleSettings(Group):
    """The clockwork of schedules."""

    release_rate: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Runs a second that missed ticks may start after a time of being down.",
    )


class RetentionSettings(Group):
    """How much history stays. A flow's own `retention` goes before `runs`, `days` and `log_days`."""

    runs: int = Field(default=10_000, ge=1, description="Ended runs kept of each flow.")
    days: int = Field(default=90, ge=1, description="Days that an ended run is kept.")
    log_days: int = Field(default=30, ge=1, description="Days that the log of an ended run is kept.")
    event_days: int = Field(default=7, ge=1, description="Days that a handled event is kept.")
    tick_days: int = Field(default=90, ge=1, description="Days that the record of a schedule's due instant is kept.")
    audit_days: int = Field(default=365, ge=1, description="Days that an entry of the audit log is kept.")


class Settings(BaseSettings):
    """All settings of the platform."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1, env_ignore_empty=True,
        extra="forbid", frozen=True,
    )  # fmt: skip

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on; 0.0.0.0 is all.")
    port: int = Field(default=7700, ge=0, le=65_535, description="The port to listen on; 0 takes a free one.")
    data: Folder = Field(
        default_factory=default_data_folder,
        description="Folder of database, blobs and keys; $XDG_DATA_HOME/monjolo, or ~/.local/share/monjolo.",
    )
    modules_dir: Folder | None = Field(
        default=None,
        description="The folder whose module files are live when saved; `modules` in the data folder.",
    )
    public_url: Url | None = Field(
        default=None,
        description="The address at which people and webhooks reach the platform, such as a proxy's on this machine, "
        "with the path below which the proxy passes on to it, if any; with it, X-Forwarded-For and X-Forwarded-Proto "
        "from this machine count.",
    )
    allow_http: bool = Field(
        default=False,
        description="Whether a session cookie is taken over plain HTTP from other machines. Not safe.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="The key that seals secrets, in place of the key file: 32 bytes in base64 or hexadecimal. "
        "Several by commas: the first seals, all open.",
    )
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    worker: WorkerSettings = WorkerSettings()
    step: StepSettings = StepSettings()
    run: RunSettings = RunSettings()
    egress: EgressSettings = EgressSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()

    @property
    def database_file(self) -> Path:
        return self.data / "monjolo.db"

    @property
    def blobs_folder(self) -> Path:
        return self.data / "blobs"

    @property
    def keys_folder(self) -> Path:
        return self.data / "keys"

    @property
    def modules_folder(self) -> Path:
        return self.modules_dir or self.data / "modules"


# --- reading them -------------------------------------------------------------------------------------------

_ELSEWHERE = {
    "MONJOLO_CONFIG",
    "MONJOLO_URL",
    "MONJOLO_TOKEN",
}  # the file itself, and what the command line reads


class SettingsInvalid(InvalidInput):
    """One line per problem in `detail`, the same as `errors`."""

    code, title = "settings_invalid", "The settings cannot be used"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{problem.path}: {problem.message}" for problem in problems), errors=problems)


@dataclass(frozen=True, slots=True)
class Described:
    """One setting, for the reference page and for suggestions."""

    name: str  # log.level
    variable: str  # MONJOLO_LOG_LEVEL
    group: str  # what the group is about, empty for the first ones
    unit: str  # duration | size | empty
    default: str
    description: str


def load(flags: Mapping[str, Any] | None = None, *, config: Path | None = None) -> Settings:
    """The settings of this process. `flags` are dotted names (`log.level`); None means not given.

    Raises SettingsInvalid with every problem at once, unknown names included.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    known = {setting.name: setting for setting in describe()}
    file = _file(config, given)
    values = _table(file) if file else {}
    problems = _unknown_variables(known) + _unknown_keys(known, values, file, automatic=config is None)
    if problems:
        raise SettingsInvalid(problems)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    try:
        loaded = Loaded(**_nested(given))
    except ValidationError as error:
        raise SettingsInvalid([_problem(item, known, given, file) for item in error.errors()]) from None
    return Settings.model_construct(**dict(loaded))


def settings_file(data: Path | None, config: Path | None) -> Path | None:
    """The settings file that `load` reads with these flags, if there is one."""
    return _file(config, {} if data is None else {"data": data})


def describe() -> list[Described]:
    """All settings in their order: the source of the reference page."""
    found = []
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Group):
            about = (group.__doc__ or "").strip()
            found += [_described(f"{name}.{key}", about, inner) for key, inner in group.model_fields.items()]
        else:
            found.append(_described(name, "", field))
    return found


def _described(name: str, group: str, field: FieldInfo) -> Described:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = str(extra.get("unit", ""))
    shown = "" if field.default_factory or field.default is None else _shown(field.default, unit)
    return Described(name, PREFIX + name.replace(".", "_").upper(), group, unit, shown, field.description or "")


def _shown(value: Any, unit: str) -> str:
    if unit == "duration":
        return format_duration(value)
    if unit == "size":
        return format_size(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _file(config: Path | None, given: Mapping[str, Any]) -> Path | None:
    named = config or os.environ.get("MONJOLO_CONFIG")
    if named:
        return _absolute(Path(named))
    data = given.get("data") or os.environ.get("MONJOLO_DATA") or default_data_folder()
    found = _absolute(Path(data)) / "monjolo.toml"
    return found if found.is_file() else None


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        problem = Problem(str(file), "unreadable", f"cannot be read: {error.strerror}")
    except ValueError as error:
        problem = Problem(str(file), "not_toml", f"is not TOML: {error}")
    raise SettingsInvalid([problem])


def _unknown_variables(known: Mapping[str, Described]) -> list[Problem]:
    names = {setting.variable for setting in known.values()} | _ELSEWHERE
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in names)
    return [Problem(name, "unknown_setting", _suggestion(name, names)) for name in unknown]


def _unknown_keys(
    known: Mapping[str, Described], values: Mapping[str, Any], file: Path | None, *, automatic: bool
) -> list[Problem]:
    problems = []
    for name in _names(values):
        if name not in known:
            problems.append(Problem(f"{file}: {name}", "unknown_setting", _suggestion(name, set(known))))
    if automatic and "data" in values and not os.environ.get("MONJOLO_CONFIG"):
        advice = "a file inside the data folder cannot say where that folder is; use MONJOLO_DATA or --data"
        problems.append(Problem(f"{file}: data", "misplaced_setting", advice))
    return problems


def _names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _suggestion(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.5)
    return f"is not a setting; did you mean {near[0]}?" if near else "is not a setting"


def _nested(flags: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in flags.items():
        group, _, key = name.rpartition(".")
        (out.setdefault(group, {}) if group else out)[key] = value
    return out


def _problem(
    error: ErrorDetails, known: Mapping[str, Described], given: Mapping[str, Any], file: Path | None
) -> Problem:
    name = ".".join(str(part) for part in error["loc"] if isinstance(part, str))
    setting = known.get(name)
    if name in given:
        place = "--" + name.replace(".", "-").replace("_", "-")
    elif setting and os.environ.get(setting.variable):
        place = setting.variable
    else:
        place = f"{file}: {name}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    bound = error.get("ctx", {}).get("le", error.get("ctx", {}).get("ge"))
    if setting and setting.unit and bound is not None:
        message = message.replace(str(bound), _shown(bound, setting.unit))
    said = "" if name == "secret_key" else f"{error['input']!r} will not do; "
    return Problem(place, "bad_setting", said + message)
