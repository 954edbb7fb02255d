"""The first user's link while the platform is down: made under the data folder's lock."""

from __future__ import annotations

import asyncio

from monjolo.domains.users.keys import load_or_create_signing_key
from monjolo.domains.users.passwords import Passwords
from monjolo.domains.users.sessions import Sessions
from monjolo.domains.users.setup import SetUp
from monjolo.domains.users.tokens import TokenSigner
from monjolo.kit.time import SystemClock
from monjolo.settings import Settings
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.sqlite import SqliteDatabase


async def make_first_link(settings: Settings) -> str:
    """A link that holds once the platform is up. Raises DataInUse, Conflict when there is a user, Unavailable."""
    clock, passwords = SystemClock(), Passwords()
    with DataLock.acquire(settings.data):
        await asyncio.to_thread(prepare, settings.database_file, clock.now())
        database = SqliteDatabase(settings.database_file)
        try:
            workspace = await database.read(workspace_id)
            signer = TokenSigner(load_or_create_signing_key(settings.keys_folder), f"monjolo:{workspace}", clock)
            sessions = Sessions(database, clock, signer, passwords, workspace)
            set_up = SetUp(database, clock, sessions, passwords, workspace)
            url = settings.public_url or f"http://{settings.host}:{settings.port}"
            return await set_up.setup_link(url, keep_earlier=True)
        finally:
            database.close()
