"""The installation's own signing key: Ed25519, made on first start, never leaves `<data>/keys/` (S10)."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from monjolo.kit import json
from monjolo.kit.errors import Unavailable

_FILE = "tokens.pem"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`kid` is the RFC 7638 thumbprint of the public key, so it follows from the key alone."""

    kid: str
    private: Ed25519PrivateKey = field(repr=False)
    public: Ed25519PublicKey
    jwk: dict[str, str]


def load_or_create_signing_key(folder: Path) -> SigningKey:
    """The key in `folder`, made if there is none. Raises Unavailable when its file is unfit or exposed."""
    path = folder / _FILE
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise Unavailable(f"Others can read {path}. Run: chmod 600 {path}", code="key_exposed")
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise _unfit(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _unfit(path)
    return _signing_key(private)


def _create(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _signing_key(private: Ed25519PrivateKey) -> SigningKey:
    public = private.public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64(raw)}
    kid = _base64(hashlib.sha256(json.canonical(required)).digest())
    return SigningKey(kid, private, public, required | {"kid": kid, "use": "sig", "alg": "EdDSA"})


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unfit(path: Path) -> Unavailable:
    return Unavailable(
        f"{path} holds no Ed25519 key. Put back the right file, or remove it: everybody signs in again then.",
        code="key_unfit",
    )
