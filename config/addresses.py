"""What an address to listen on says of who can reach it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "127.8.9.1", "0.0.0.0", "example.org")]
    [True, True, True, True, False, False]
    """
    address = as_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_wildcard(host: str) -> bool:
    """Whether all addresses of this machine are meant.

    >>> is_wildcard("0.0.0.0"), is_wildcard("::"), is_wildcard("127.0.0.1")
    (True, True, False)
    """
    address = as_address(host)
    return address is not None and address.is_unspecified


def as_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that is written there; None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
