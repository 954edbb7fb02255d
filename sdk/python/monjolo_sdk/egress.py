"""Where a request may go: the module's permissions, the instance's rules, and the hosts of a credential.

Names are resolved once, every answer is judged, and the connection goes to a judged address: a name that answers
differently the second time (DNS rebinding) is never asked a second time.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import json
from collections.abc import Iterable, Sequence
from urllib.parse import unquote, unquote_plus

from monjolo_sdk.errors import EgressRefused
from monjolo_sdk.fields import Connection, Secret

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Written out, because `is_global` differs between Python versions and lets multicast and NAT64 pass.
DENIED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, metadata of some clouds
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local, metadata of some clouds
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)
SHORTEST_SECRET = 4


class Policy:
    """What one action may reach. `net`: host patterns; `allow`: private hosts or networks the instance opens."""

    def __init__(self, net: Iterable[str], allow: Iterable[str] = (), connections: Sequence[Connection] = ()) -> None:
        self._net = tuple(pattern.lower() for pattern in net)
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for item in allow:
            try:
                self._networks.append(ipaddress.ip_network(item.strip("[]"), strict=False))
            except ValueError:
                self._hosts.add(item.lower())
        self._bound = [connection for connection in connections if connection.hosts]

    def check_url(self, scheme: str, host: str, port: int | None) -> None:
        """Is the host one that the module declares? Raises EgressRefused."""
        if scheme not in ("http", "https"):
            raise EgressRefused(f"{scheme}:// is not a web address")
        if not matches(self._net, host, port):
            declared = ", ".join(self._net) or "none"
            raise EgressRefused(
                f"the module may not reach {host}: its permissions.net are {declared}. Add the host to them"
            )

    def check_addresses(self, host: str, port: int, answers: Iterable[str]) -> list[str]:
        """The addresses of a host, when all of them are public or allowed. Raises EgressRefused."""
        addresses = list(dict.fromkeys(answers))
        named = host.lower() in self._hosts or f"{host.lower()}:{port}" in self._hosts
        for answer in addresses:
            address = ipaddress.ip_address(answer.partition("%")[0])
            if named or any(address in network for network in self._networks):
                continue
            if is_denied(address):
                raise EgressRefused(
                    f"{host} is {answer}, which is not a public address; an administrator can allow it (egress_allow)"
                )
        return addresses

    def check_credentials(self, host: str, port: int | None, texts: Iterable[str]) -> None:
        """Does a secret travel to a host it is not bound to? `texts`: the URL, each header, the body."""
        foreign = [item for item in self._bound if not matches(item.hosts, host, port)]
        if not foreign:
            return
        told = [form for text in texts for form in _readable(text)]
        for connection in foreign:
            if any(secret in text for secret in _secret_forms(connection) for text in told):
                bound = ", ".join(connection.hosts)
                raise EgressRefused(f"the connection {connection.name!r} is bound to {bound}, not to {host}")

    @property
    def guards_credentials(self) -> bool:
        """Is there anything to check?"""
        return bool(self._bound)


def is_denied(address: Address) -> bool:
    """Is it anything but a public unicast address?"""
    if any(address in network for network in DENIED if network.version == address.version):
        return True
    return not address.is_global or address.is_multicast


def matches(patterns: Iterable[str], host: str, port: int | None) -> bool:
    """`*`, `example.org`, `*.example.org` (not the bare name), each with an optional `:port`."""
    host = host.lower().strip("[]").rstrip(".")
    for pattern in patterns:
        name, colon, wanted = pattern.rpartition(":")
        if colon and wanted.isdigit() and "]" not in wanted and (":" not in name or name.startswith("[")):
            if port is not None and int(wanted) != port:
                continue
        else:
            name = pattern
        name = name.strip("[]").lower().rstrip(".")
        if name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _secret_forms(connection: Connection) -> list[str]:
    secrets = [str(value) for value in connection.values() if isinstance(value, Secret)]
    long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    return [form for secret in long_enough for form in {secret, json.dumps(secret)[1:-1]}]


def _readable(text: str) -> list[str]:
    forms = [text, unquote(text), unquote_plus(text)]
    scheme, _, value = text.partition(" ")
    if scheme.lower() == "basic":
        with contextlib.suppress(binascii.Error, ValueError):
            forms.append(base64.b64decode(value, validate=False).decode("utf-8", "replace"))
    return forms
