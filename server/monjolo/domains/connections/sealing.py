"""Values at rest: AES-256-GCM under a ring of keys, of which the last added seals and all open (S9).

A key's id follows from the key, so another key has another id: a wrong key is known by name before any value
is opened. Besides, `meta` holds a check value for each key that was ever in the ring.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from monjolo.domains.connections import repository
from monjolo.kit import json
from monjolo.kit.disk import disk_error
from monjolo.kit.errors import Unavailable
from monjolo.storage.port import Connection

_NONCE = 12
_CHECK = b"monjolo key check"
_FILE = re.compile(r"(\d{4})-([0-9a-f]{16})\.key")


class KeyMissing(Unavailable):
    code, title = "key_missing", "A key that sealed secrets is not there"


class KeyUnfit(Unavailable):
    code, title = "key_unfit", "A key cannot be used"


class SealBroken(Unavailable):
    code, title = "seal_broken", "A sealed value does not open"


class KeyRing:
    """Keys by id; `current` is the id of the one that seals."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = current

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._ciphers)

    def seal(self, plain: bytes, bound_to: Sequence[object]) -> tuple[str, bytes]:
        """(key id, ciphertext). It opens only with the same `bound_to`, so rows cannot be swapped."""
        nonce = secrets.token_bytes(_NONCE)
        return self.current, nonce + self._ciphers[self.current].encrypt(nonce, plain, _bound(bound_to))

    def open(self, key_id: str, value: bytes, bound_to: Sequence[object]) -> bytes:
        """Raises KeyMissing, or SealBroken when the value or what it is bound to was changed."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise _missing([key_id], self.ids)
        try:
            return cipher.decrypt(value[:_NONCE], value[_NONCE:], _bound(bound_to))
        except InvalidTag as error:
            raise SealBroken(
                "A sealed value was changed outside Monjolo, or belongs to another row. Set it again, "
                "or restore a backup."
            ) from error


def open_ring(connection: Connection, folder: Path, secret_key: str | None) -> KeyRing:
    """The ring of this installation, checked against what is sealed. Called once at start, in a write.

    Keys come from `secret_key` (several by commas, the first seals) and from the key files in `folder`. One is
    made only when there is none and nothing is sealed. Raises KeyMissing or KeyUnfit, naming the key's id.
    """
    keys = find_keys(connection, folder, secret_key) or dict([add_key(folder)])
    for name, key in keys.items():
        if repository.key_check(connection, name) is None:
            repository.insert_key_check(connection, name, _make_check(name, key))
    return KeyRing(keys, current=list(keys)[-1])


def find_keys(connection: Connection, folder: Path, secret_key: str | None) -> dict[str, bytes]:
    """The keys there are by id, the one that seals last; checked, nothing made or written."""
    given = [_decode(part.strip()) for part in (secret_key or "").split(",") if part.strip()]
    keys = {key_id(key): key for key in (*_read_files(folder), *reversed(given))}
    if absent := sorted(repository.key_ids(connection) - keys.keys()):
        raise _missing(absent, keys)
    for name, key in keys.items():
        check = repository.key_check(connection, name)
        if check is not None and not _passes(name, key, check):
            raise KeyUnfit(f"The key {name} is not the one that was used here before.")
    return keys


def try_keys(connection: Connection, folder: Path, secret_key: str | None) -> int:
    """Opens one sealed value of every key, and forgets it; how many. Raises as `find_keys` and `KeyRing.open`."""
    keys = find_keys(connection, folder, secret_key)
    rows = repository.one_of_each_key(connection)
    for row in rows:
        bound_to = binding(row["workspace_id"], row["kind"], row["id"], row["version"])
        KeyRing(keys, current=row["key_id"]).open(row["key_id"], row["value"], bound_to)
    return len(rows)


def reseal(connection: Connection, ring: KeyRing, limit: int) -> int:
    """Seals up to `limit` values again, under the current key, that stand under another. Returns how many."""
    rows = repository.sealed_elsewhere(connection, ring.current, limit)
    for row in rows:
        bound_to = binding(row["workspace_id"], row["kind"], row["id"], row["version"])
        plain = ring.open(row["key_id"], row["value"], bound_to)
        repository.replace_seal(connection, row["id"], *ring.seal(plain, bound_to))
    return len(rows)


def binding(workspace_id: str, kind: str, row_id: str, version: int) -> tuple[object, ...]:
    """What a sealed value belongs to."""
    return workspace_id, kind, row_id, version


def add_key(folder: Path) -> tuple[str, bytes]:
    """Makes a key file, which seals from the next start on. Returns the id and the key."""
    key = secrets.token_bytes(32)
    numbers = [int(match[1]) for match in map(_FILE.fullmatch, _names(folder)) if match]
    path = folder / f"{max(numbers, default=0) + 1:04}-{key_id(key)}.key"
    draft = path.with_suffix(".draft")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise disk_error(error, folder) from error
    return key_id(key), key


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"monjolo key id\0" + key).hexdigest()[:16]


def _bound(parts: Sequence[object]) -> bytes:
    return json.canonical(list(parts))


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _read_files(folder: Path) -> list[bytes]:
    keys = []
    for name in _names(folder):
        match = _FILE.fullmatch(name)
        if not match:
            continue
        path = folder / name
        try:
            if path.stat().st_mode & 0o077:
                raise KeyUnfit(f"Others can read {path}. Run: chmod 600 {path}", code="key_exposed")
            key = base64.b64decode(path.read_bytes(), validate=False)
        except (OSError, binascii.Error) as error:
            raise KeyUnfit(f"The key file {path} cannot be read: {error}.") from error
        if len(key) != 32 or key_id(key) != match[2]:
            raise KeyUnfit(f"The key file {path} is damaged: it does not hold the key {match[2]}. Put it back.")
        keys.append(key)
    return keys


def _decode(text: str) -> bytes:
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32 or len(set(key)) < 12:  # of 32 random bytes some 30 differ; of a placeholder's few
        raise KeyUnfit(
            "MONJOLO_SECRET_KEY must be 32 random bytes in base64 or hexadecimal. Make one with: openssl rand -hex 32"
        )
    return key


def _make_check(name: str, key: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, _CHECK, name.encode())).decode()


def _passes(name: str, key: bytes, check: str) -> bool:
    raw = base64.b64decode(check)
    try:
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], name.encode()) == _CHECK
    except InvalidTag:
        return False


def _missing(absent: Sequence[str], present: Iterable[str]) -> KeyMissing:
    return KeyMissing(
        f"Secrets are sealed under the key {', '.join(absent)}, which is not here (there is: "
        f"{', '.join(sorted(present)) or 'none'}). Put its file back into the folder "
        "`keys` of the data folder, or give it by MONJOLO_SECRET_KEY. "
        "No new key is made, since it would open none of them."
    )
