"""The modules folder: what is saved there is live, what is broken is told, what is deleted is gone."""

from __future__ import annotations

import asyncio
import os
from typing import Any

World = Any


async def test_a_saved_file_is_live_without_a_restart(world: World) -> None:
    async with world.registry(watch=True) as registry:
        world.save("site_first.py", world.source("site_first"))
        await world.until(lambda: world.version_of(registry, "site_first"))
        world.save("site_hello.py", world.source())
        await world.until(lambda: world.version_of(registry))
        resolved = registry.catalogue().resolve("site_hello/hello")
        assert resolved is not None
        assert resolved.input_schema["properties"]["name"]["default"] == "you"


async def test_a_file_that_lay_there_before_the_start_is_taken(world: World) -> None:
    world.save("site_hello.py", world.source())
    async with world.registry(watch=True) as registry:
        await world.until(lambda: world.version_of(registry) == "1.0.0")


async def test_a_broken_save_is_listed_and_the_last_good_version_stays(world: World) -> None:
    async with world.registry(watch=True) as registry:
        path = world.save("site_hello.py", world.source())
        await world.until(lambda: world.version_of(registry))
        path.write_text("def broken(:\n", encoding="utf-8")
        await world.until(lambda: world.fault_of(registry, "site_hello.py"))
        fault = world.fault_of(registry, "site_hello.py")
        assert "SyntaxError" in fault.error
        assert "line 1" in (fault.error + (fault.traceback or ""))
        assert world.version_of(registry) == "1.0.0"
        world.save("site_hello.py", world.source(version="1.0.1"))
        await world.until(lambda: world.version_of(registry) == "1.0.1")
        assert registry.faults() == []


async def test_going_back_to_the_good_text_takes_the_fault_away(world: World) -> None:
    world.save("site_hello.py", world.source())
    async with world.registry() as registry:
        await registry.refresh()
        world.save("site_hello.py", "import nothing_like_this\n")
        await registry.refresh()
        assert "nothing_like_this" in world.fault_of(registry, "site_hello.py").error
        world.save("site_hello.py", world.source())
        await registry.refresh()
        assert registry.faults() == []
        assert world.version_of(registry) == "1.0.0"


async def test_of_two_quick_saves_the_second_counts(world: World) -> None:
    async with world.registry(watch=True) as registry:
        slow = "import time\ntime.sleep(0.7)\n" + world.source(version="1.0.0")
        world.save("site_hello.py", slow)
        await world.until(lambda: registry._taking)
        world.save("site_hello.py", world.source(version="2.0.0"))
        await world.until(lambda: world.version_of(registry) == "2.0.0")
        await world.until(lambda: not registry._taking)
        await registry.refresh()
        assert world.version_of(registry) == "2.0.0"


async def test_a_deleted_file_leaves_the_catalogue_but_not_the_store(world: World) -> None:
    async with world.registry(watch=True) as registry:
        path = world.save("site_hello.py", world.source())
        await world.until(lambda: world.version_of(registry))
        published = registry.catalogue().resolve("site_hello/hello")
        path.unlink()
        await world.until(lambda: world.version_of(registry) is None)
        catalogue = registry.catalogue()
        assert catalogue.resolve("site_hello/hello") is None
        exact = catalogue.resolve_exact("site_hello", published.version, published.digest, "hello")
        assert exact == published
        bundle = await registry.bundle(published.digest)
        assert bundle.path.read_text(encoding="utf-8") == world.source()
        assert bundle.module == "site_hello"


async def test_pruning_drops_what_nobody_keeps(world: World) -> None:
    async with world.registry() as registry:
        digests = []
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            world.save("site_hello.py", world.source(version=version))
            await registry.refresh()
            digests.append(registry.catalogue().find("site_hello").digest)
        assert await registry.prune(keep=[digests[0]]) == 1
        kept = {version.version for version in registry.catalogue().versions("site_hello")}
        assert kept == {"1.0.0", "1.2.0"}


async def test_versions_live_side_by_side(world: World) -> None:
    async with world.registry() as registry:
        for version in ("1.4.2", "1.5.0", "2.0.0"):
            world.save("site_hello.py", world.source(version=version))
            await registry.refresh()
        catalogue = registry.catalogue()
        found = {uses: catalogue.resolve(uses) for uses in (
            "site_hello/hello", "site_hello@1/hello", "site_hello@1.4/hello", "site_hello@1.4.2/hello",
        )}  # fmt: skip
        assert {uses: one.version for uses, one in found.items()} == {
            "site_hello/hello": "2.0.0",
            "site_hello@1/hello": "1.5.0",
            "site_hello@1.4/hello": "1.4.2",
            "site_hello@1.4.2/hello": "1.4.2",
        }
        for uses in ("site_hello@3/hello", "site_hello/absent", "absent/hello", "site_hello", "../x/hello", ""):
            assert catalogue.resolve(uses) is None


async def test_the_id_of_a_built_in_module_is_taken(world: World) -> None:
    world.built_in("core", world.source("core"))
    world.save("core.py", world.source("core", version="9.0.0"))
    async with world.registry() as registry:
        await registry.refresh()
        assert world.version_of(registry, "core") == "1.0.0"
        assert world.fault_of(registry, "core.py").error.startswith("the id 'core' belongs to a built-in module")


async def test_when_a_file_frees_its_id_the_one_that_waited_comes_in(world: World) -> None:
    async with world.registry() as registry:
        first = world.save("a.py", world.source(version="1.0.0"))
        await registry.refresh()
        world.save("b.py", world.source(version="2.0.0"))
        await registry.refresh()
        assert world.version_of(registry) == "1.0.0"
        assert "belongs to the module in a.py" in world.fault_of(registry, "b.py").error
        first.unlink()
        await registry.refresh()
        await world.until(lambda: world.version_of(registry) == "2.0.0")
        assert registry.faults() == []


async def test_a_renamed_file_keeps_its_module(world: World) -> None:
    async with world.registry() as registry:
        path = world.save("a.py", world.source())
        await registry.refresh()
        path.rename(path.with_name("b.py"))
        await registry.refresh()
        assert registry.catalogue().find("site_hello").path == "b.py"
        assert registry.faults() == []


async def test_a_folder_is_a_module_too(world: World) -> None:
    world.save("site_hello/helper.py", "GREETING = 'good morning'\n")
    text = world.source().replace("from monjolo_sdk", "from .helper import GREETING\nfrom monjolo_sdk", 1)
    world.save("site_hello/module.py", text)
    world.save("site_hello/README.md", "# Read me\n")
    async with world.registry() as registry:
        await registry.refresh()
        assert registry.faults() == []
        version = registry.catalogue().find("site_hello")
        assert version.origin == "folder"
        assert await registry.file(version.digest, "README.md") == b"# Read me\n"
        assert await registry.file(version.digest, "../bundle.json") is None


async def test_a_project_names_its_module_by_an_entry_point(world: World) -> None:
    world.save(
        "site-hello/pyproject.toml",
        '[project]\nname = "x"\nversion = "1"\n[project.entry-points."monjolo.modules"]\n'
        'site_hello = "site_package.main:module"\n',
    )
    world.save("site-hello/src/site_package/__init__.py", "")
    world.save("site-hello/src/site_package/main.py", world.source())
    async with world.registry() as registry:
        await registry.refresh()
        assert registry.faults() == []
        assert world.version_of(registry) == "1.0.0"


async def test_links_are_refused(world: World) -> None:
    outside = world.data.parent / "outside.py"
    outside.write_text(world.source(), encoding="utf-8")
    (world.dropped / "site_hello.py").symlink_to(outside)
    world.save("site_folder/module.py", world.source("site_folder"))
    (world.dropped / "site_folder" / "secret.txt").symlink_to("/etc/passwd")
    async with world.registry() as registry:
        await registry.refresh()
        assert "symbolic link" in world.fault_of(registry, "site_hello.py").error
        assert "symbolic link" in world.fault_of(registry, "site_folder").error
        assert registry.catalogue().modules() == []


async def test_what_an_import_does_is_done_by_the_runner_never_by_the_server(world: World) -> None:
    told = world.data / "pid"
    spy = f"import os, pathlib\npathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}} {{os.getppid()}}')\n"
    world.save("site_hello.py", spy + world.source())
    async with world.registry() as registry:
        await registry.refresh()
        assert world.version_of(registry) == "1.0.0"
        pid, parent = map(int, told.read_text(encoding="utf-8").split())
        assert pid != os.getpid()
        assert parent == os.getpid()


async def test_the_runner_that_describes_sees_none_of_our_variables(world: World, monkeypatch: Any) -> None:
    monkeypatch.setenv("MONJOLO_SECRET_KEY", "canary")
    spy = "import os\nassert not [name for name in os.environ if 'MONJOLO' in name], dict(os.environ)\n"
    world.save("site_hello.py", spy + world.source())
    async with world.registry() as registry:
        await registry.refresh()
        assert registry.faults() == []


async def test_a_module_that_ends_its_runner_is_only_a_fault(world: World) -> None:
    world.save("site_exit.py", "import os\nos._exit(7)\n")
    world.save("site_raise.py", "raise RuntimeError('not today')\n")
    world.save("site_empty.py", "")
    world.save("site_hello.py", world.source())
    async with world.registry() as registry:
        await registry.refresh()
        assert "exit code 7" in world.fault_of(registry, "site_exit.py").error
        fault = world.fault_of(registry, "site_raise.py")
        assert "not today" in fault.error
        assert "site_raise.py" in fault.traceback
        assert world.fault_of(registry, "site_empty.py") is not None
        assert world.version_of(registry) == "1.0.0"


async def test_a_second_start_describes_nothing(world: World) -> None:
    told = world.data / "described"
    spy = f"import pathlib\nwith pathlib.Path({str(told)!r}).open('a') as file:\n    file.write('x')\n"
    world.built_in("core", spy + world.source("core"))
    world.save("site_hello.py", spy + world.source())
    for _ in range(3):
        async with world.registry() as registry:
            await registry.refresh()
            assert world.version_of(registry, "core") == "1.0.0"
            assert world.version_of(registry) == "1.0.0"
    assert told.read_text(encoding="utf-8") == "xx"


async def test_the_start_waits_for_the_built_in_modules_and_for_no_other(world: World) -> None:
    world.built_in("core", world.source("core"))
    world.save("slow.py", "import time\ntime.sleep(60)\n" + world.source())
    async with world.registry(watch=True) as registry:
        assert world.version_of(registry, "core") == "1.0.0"
        assert not world.version_of(registry, "slow")
        await world.until(lambda: registry._taking)
        world.save("quick.py", world.source("quick"))
        await world.until(lambda: world.version_of(registry, "quick"))


async def test_the_folder_may_be_replaced_while_it_is_watched(world: World) -> None:
    async with world.registry(watch=True) as registry:
        world.save("site_hello.py", world.source())
        await world.until(lambda: world.version_of(registry))
        await asyncio.to_thread(world.dropped.rename, world.data / "old")
        await world.until(lambda: world.version_of(registry) is None)
        await world.until(lambda: world.dropped.exists())
        world.save("site_next.py", world.source("site_next"))
        await world.until(lambda: world.version_of(registry, "site_next"))
