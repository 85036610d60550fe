"""Which addresses Signoff may call. Pure: nothing is resolved here.

A receiver's address comes from whoever makes an instance, and must not lead inward: not to this machine, its network,
its cloud's metadata, nor to any of these by another spelling (agent-api.md, "Outbound safety"). What a host name stands
for is checked again, each time, at the moment of connecting (handlers/outbound.py). That is ``parse_destination``.

An address that the operator configured (a pager, a calendar, a heartbeat) may lead inward; plain http may not
leave this machine. That is ``parse_operator_destination``, and nothing else in here is for it.
"""

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from yarl import URL

from bot.errors import BadInput

MAX_URL = 2048
_INWARD = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's wire server, a public address that answers from inside
        "192.0.0.0/24",  # protocol assignments, one cloud's metadata among them
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, locally assigned
        "100::/64",  # discard
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local, long deprecated
    )
)
"""What Python's own ``is_global`` lets through or has let through, and every form that carries an IPv4 address."""


class UnsafeAddress(BadInput):
    """The receiver's address leads where Signoff does not call."""

    code = "invalid_webhook_url"


class BadAddress(Exception):
    """What the operator configured is no address to call. Its text says what would be right, and never the address."""

    code = "bad_address"


@dataclass(frozen=True, slots=True)
class Destination:
    """An address, taken apart. ``host`` is what is looked up and what TLS is asked to prove."""

    url: URL
    host: str
    port: int


def parse_destination(text: str, *, allow_loopback: bool = False) -> Destination:
    """Take a receiver's address apart. Raises ``UnsafeAddress`` saying what would be right.

    ``allow_loopback`` is for development: it admits plain http to this machine, and nothing else more.
    """
    try:
        destination = _take_apart(text)
    except _Malformed as malformed:
        raise _unsafe(malformed.words) from malformed
    url, host = destination.url, destination.host
    literal = _literal(host)
    on_loopback = allow_loopback and (host == "localhost" or (literal is not None and literal.is_loopback))
    if url.scheme != "https" and not (url.scheme == "http" and on_loopback):
        raise _unsafe("must be https")
    if literal is not None:
        refuse_inward(literal, allow_loopback=allow_loopback)
    elif host.rstrip(".").rpartition(".")[2].isdigit() or "%" in host:
        # A system's resolver takes 127.1, 0x7f000001 and their kin for addresses; nobody's receiver is named so.
        raise _unsafe("has a host that is neither a name nor an address in its usual form")
    elif "." not in host.rstrip(".") and not on_loopback:
        raise _unsafe("names a host without a domain")
    return destination


def parse_operator_destination(text: str) -> Destination:
    """Take apart an address of the operator's: https, or plain http to this machine. Raises ``BadAddress``."""
    try:
        destination = _take_apart(text)
    except _Malformed as malformed:
        raise BadAddress(malformed.words) from malformed
    literal = _literal(destination.host)
    on_loopback = destination.host == "localhost" or (literal is not None and literal.is_loopback)
    if destination.url.scheme != "https" and not (destination.url.scheme == "http" and on_loopback):
        raise BadAddress("must be https; only a loopback address may do without")
    return destination


def refuse_inward(address: IPv4Address | IPv6Address, *, allow_loopback: bool = False) -> None:
    """Raise ``UnsafeAddress`` unless ``address`` is one of the public internet, or loopback where that is allowed."""
    if allow_loopback and address.is_loopback and getattr(address, "scope_id", None) is None:
        return
    if (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or getattr(address, "scope_id", None) is not None
        or any(address.version == network.version and address in network for network in _INWARD)
    ):
        raise _unsafe("leads to an address that is not public")


class _Malformed(ValueError):
    """A text has not the form that every address has, whoever named it."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def _take_apart(text: str) -> Destination:
    if len(text) > MAX_URL or not text.isascii() or not text.isprintable() or any(sign in text for sign in " \\<>\"'`"):
        raise _Malformed(f"must be an absolute https address of at most {MAX_URL} plain ASCII characters")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError as error:
        raise _Malformed("is not an address") from error
    if not host or port is None or not 0 < port < 65_536 or not url.absolute:
        raise _Malformed("must be an absolute address, such as https://agents.example.com/hooks/aap")
    if url.user is not None or url.password is not None or "@" in url.authority:
        raise _Malformed("must not hold a user or password")
    if url.fragment or "#" in text:
        raise _Malformed("must not have a fragment")
    return Destination(url, host, port)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unsafe(words: str) -> UnsafeAddress:
    return UnsafeAddress(f"The receiver's url {words}.", param="delivery.url")
