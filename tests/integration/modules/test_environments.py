"""Dependencies of a module: an environment of their own, built once, by the real uv."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from monjolo.domains.modules.environments import Environments
from monjolo.domains.modules.models import Broken, Requirements

World = Any

BLOCK = """# /// script
# requires-python = ">=3.11"
# dependencies = ["{dependency}"]
# ///
"""


async def test_a_module_with_a_dependency_gets_an_environment_once(world: World) -> None:
    text = BLOCK.format(dependency="iniconfig==2.0.0") + "import iniconfig, sys\n" + world.source()
    world.save("site_hello.py", text)
    async with world.registry() as registry:
        await registry.refresh()
        assert registry.faults() == []
        version = registry.catalogue().find("site_hello")
        bundle = await registry.bundle(version.digest)
        assert bundle.python.is_relative_to(world.data / "environments" / version.environment)
        assert len(world.said) == 2  # building, ready

        world.save("site_hello.py", text.replace('"1.0.0"', '"1.0.1"'))
        await registry.refresh()
        assert world.version_of(registry) == "1.0.1"
        assert len(world.said) == 2
    environment = world.data / "environments" / version.environment
    installed = {path.name for path in (environment / "lib").glob("python3*/site-packages/*")}
    assert {"iniconfig", "httpx2"} <= installed
    assert "monjolo" not in installed
    lock = (environment / "requirements.lock").read_text(encoding="utf-8")
    assert "iniconfig==2.0.0" in lock
    assert "--hash=sha256:" in lock


async def test_an_environment_goes_with_the_last_version_that_used_it(world: World) -> None:
    world.save("site_hello.py", BLOCK.format(dependency="iniconfig==2.0.0") + world.source())
    async with world.registry() as registry:
        await registry.refresh()
        kept = registry.catalogue().find("site_hello").digest
        world.save("site_hello.py", world.source(version="2.0.0"))
        await registry.refresh()
        await registry.prune(keep=[kept])
        assert (await registry.bundle(kept)).python.exists()
        assert len(world.said) == 2
        await registry.prune(keep=[])
        assert not [path for path in (world.data / "environments").iterdir() if path.is_dir()]


async def test_what_cannot_be_resolved_is_a_fault_with_the_reason_of_uv(world: World) -> None:
    world.save("site_hello.py", BLOCK.format(dependency="iniconfig==999.0") + world.source())
    async with world.registry() as registry:
        await registry.refresh()
        fault = world.fault_of(registry, "site_hello.py")
        assert "iniconfig==999.0" in fault.error
        assert "its environment cannot be built" in fault.error
    assert not [path for path in (world.data / "environments").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("# /// script\n# dependencies = [1]\n# ///\n", "list of texts"),
        ("# /// script\n# dependencies = \n# ///\n", "not valid TOML"),
        ('# /// script\n# dependencies = ["-e ."]\n# ///\n', "is no dependency"),
        ('# /// script\n# requires-python = ">=99"\n# ///\n', "python find"),
        ('# /// script\n# requires-python = "soon"\n# ///\n', "requires-python 'soon'"),
    ],
)
async def test_a_bad_script_block_is_a_fault_that_says_so(world: World, block: str, expected: str) -> None:
    world.save("site_hello.py", block + world.source())
    async with world.registry() as registry:
        await registry.refresh()
        assert expected in world.fault_of(registry, "site_hello.py").error


async def test_two_that_want_the_same_environment_build_it_once(tmp_path: Path) -> None:
    said: list[str] = []
    requirements = Requirements(("iniconfig==2.0.0",))
    several = [Environments(tmp_path / "environments", say=said.append) for _ in range(3)]
    pythons = await asyncio.gather(*(one.python_for(requirements) for one in several))
    assert len(set(pythons)) == 1
    assert len(said) == 2


async def test_a_built_environment_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = Requirements(("iniconfig==2.0.0",))
    built = await Environments(tmp_path / "environments").python_for(requirements)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{nobody.getsockname()[1]}/simple")
        assert await Environments(tmp_path / "environments").python_for(requirements) == built


async def test_without_dependencies_the_platforms_own_interpreter_serves(tmp_path: Path) -> None:
    environments = Environments(tmp_path / "environments")
    assert await environments.python_for(Requirements()) == environments.own_python
    assert await environments.python_for(Requirements((), ">=3.11")) == environments.own_python
    assert not (tmp_path / "environments").exists()


async def test_a_build_that_died_half_way_is_begun_anew(tmp_path: Path) -> None:
    environments = Environments(tmp_path / "environments")
    requirements = Requirements(("iniconfig==2.0.0",))
    key = environments.key(requirements)
    for name in (f".making-{key}", str(key)):
        (tmp_path / "environments" / name / "bin").mkdir(parents=True)
    python = await environments.python_for(requirements)
    assert python.exists()


async def test_source_packages_are_not_built(tmp_path: Path) -> None:
    package = tmp_path / "evil"
    package.mkdir()
    (package / "setup.py").write_text("raise SystemExit('ran')\n", encoding="utf-8")
    environments = Environments(tmp_path / "environments")
    with pytest.raises(Broken):
        await environments.python_for(Requirements((f"evil @ {package.as_uri()}",)))
