"""Look at a server's certificate by a real handshake, whether or not it would be trusted."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from monjolo_sdk import Context


@dataclass(frozen=True, slots=True)
class Look:
    """What the handshake showed. `connect_seconds` includes the name's resolution."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    version: str
    connect_seconds: float
    tls_seconds: float


async def look_at(ctx: Context, host: str, port: int, timeout: float) -> Look:
    """Shake hands and hang up. Nothing is sent, so the peer need not be trusted. Raises what ctx.http raises."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # the request that follows is the one that trusts or does not
    began = time.monotonic()
    stream = await ctx.http.connect(host, port, timeout=timeout)
    try:
        connected = time.monotonic()
        secured = await stream.start_tls(blind, server_hostname=host, timeout=timeout)
        shaken = time.monotonic()
        tls = secured.get_extra_info("ssl_object")
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
        version = str(tls.version())
    finally:
        await stream.aclose()
    return Look(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        version,
        connected - began,
        shaken - connected,
    )
