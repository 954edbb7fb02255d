"""Settings: where they come from, and how what is wrong is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monjolo.settings import Settings, SettingsInvalid, describe, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("MONJOLO_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def test_without_anything_the_defaults_stand(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 7700)
    assert settings.data == tmp_path / "share" / "monjolo"
    assert settings.modules_folder == settings.data / "modules"
    assert settings.secret_key is None


def test_flags_go_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "conf.toml"
    file.write_text('host = "file"\nport = 1\n[log]\nlevel = "debug"\nformat = "json"\n')
    monkeypatch.setenv("MONJOLO_PORT", "2")
    monkeypatch.setenv("MONJOLO_LOG_LEVEL", "error")
    settings = load({"port": 3, "log.level": None}, config=file)
    assert (settings.host, settings.port) == ("file", 3)
    assert (settings.log.level, settings.log.format) == ("error", "json")


def test_the_file_of_the_data_folder_is_read_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "monjolo.toml").write_text("port = 7\n[step]\nmemory_limit = '2GiB'\n")
    monkeypatch.setenv("MONJOLO_DATA", str(tmp_path))
    assert load().port == 7
    assert load().step.memory_limit == 2 << 30
    (tmp_path / "monjolo.toml").write_text('data = "/elsewhere"\n')
    with pytest.raises(SettingsInvalid, match="MONJOLO_DATA"):
        load()


def test_units_and_lists_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONJOLO_WORKER_IDLE", "5m")
    monkeypatch.setenv("MONJOLO_STEP_LOG_LIMIT", "64KiB")
    monkeypatch.setenv("MONJOLO_EGRESS_ALLOW", "10.0.0.0/8, Intranet.example,192.168.1.7")
    monkeypatch.setenv("MONJOLO_ALLOW_HTTP", "true")
    settings = load()
    assert settings.worker.idle == 300_000_000
    assert settings.step.log_limit == 65_536
    assert settings.egress.allow == ["10.0.0.0/8", "intranet.example", "192.168.1.7/32"]
    assert settings.allow_http


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONJOLO_PROT", "1")
    with pytest.raises(SettingsInvalid, match=r"MONJOLO_PROT: is not a setting; did you mean MONJOLO_PORT\?"):
        load()


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "conf.toml"
    file.write_text("[log]\nlevle = 'debug'\n")
    with pytest.raises(SettingsInvalid, match=r"log\.levle: is not a setting; did you mean log\.level\?"):
        load(config=file)


def test_every_wrong_value_has_one_line_that_says_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "conf.toml"
    file.write_text("[worker]\nrunners = 0\n")
    monkeypatch.setenv("MONJOLO_PORT", "seven")
    monkeypatch.setenv("MONJOLO_PUBLIC_URL", "monjolo.example")
    with pytest.raises(SettingsInvalid) as refused:
        load({"worker.idle": "1ms"}, config=file)
    lines = refused.value.detail.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("MONJOLO_PORT: 'seven' will not do")
    assert any(line.startswith("MONJOLO_PUBLIC_URL: ") and "https://" in line for line in lines)
    assert any(line.startswith("--worker-idle: ") and "1s" in line for line in lines)
    assert any(line.startswith(f"{file}: worker.runners: 0 will not do") for line in lines)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.org/", "https://example.org"),
        ("https://example.org/auto/monjolo/", "https://example.org/auto/monjolo"),
        ("https://example.org/a?b=c", None),
        ("https://example.org/a#b", None),
        ('https://example.org/"><script>', None),
        ("https://example.org//double", None),
        ("ftp://example.org", None),
    ],
)
def test_the_public_address_may_have_a_plain_path(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str | None
) -> None:
    monkeypatch.setenv("MONJOLO_PUBLIC_URL", given)
    if kept is None:
        with pytest.raises(SettingsInvalid, match="or https://example"):
            load()
    else:
        assert load().public_url == kept


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load(config=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("port = \n")
    with pytest.raises(SettingsInvalid, match="is not TOML"):
        load(config=tmp_path / "bad.toml")


def test_the_secret_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONJOLO_SECRET_KEY", "very-hidden-key")
    assert "very-hidden-key" not in repr(load())
    monkeypatch.setenv("MONJOLO_PORT", "x")
    with pytest.raises(SettingsInvalid) as refused:
        load()
    assert "very-hidden-key" not in refused.value.detail


def test_what_the_command_line_reads_is_no_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONJOLO_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MONJOLO_TOKEN", "mj_x")
    assert load().port == 7700


def test_every_setting_is_described_and_reached_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = describe()
    assert all(setting.description.endswith(".") for setting in settings)
    assert len({setting.variable for setting in settings}) == len(settings)
    for setting in settings:
        if setting.default:
            monkeypatch.setenv(setting.variable, setting.default)
    assert load() == load()
    assert isinstance(load(), Settings)
