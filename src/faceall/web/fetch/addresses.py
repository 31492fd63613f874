"""Public IP addresses, and hosts of URLs in canonical form."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA's registries of special-purpose addresses (RFC 6890 and its updates), and non-unicast addresses. They are listed
# because `is_global` gives different answers for some of them in different versions of Python.
_CLOSED_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 reaches the machine itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; 169.254.169.254 and .170.2 are metadata services of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols; 192.0.0.192 is a metadata service
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
            "100.100.100.200/32",  # metadata service; in 100.64.0.0/10, named so that it stays closed
            "168.63.129.16/32",  # a public address that is a cloud's service inside that cloud
        ),
    )
)
_OPEN_6 = ipaddress.IPv6Network("2000::/3")  # the only range of public addresses
_CLOSED_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols, with Teredo, benchmarks and ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: holds any IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the middle of an address that ends with an IPv4 address
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_MAX_HOST_LENGTH = 253


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, not to this machine, its network or its cloud.

    IPv6 addresses that contain an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) are never public.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_4)
    if address.scope_id is not None or address not in _OPEN_6 or not address.is_global:
        return False
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return not any(address in network for network in _CLOSED_6)


def literal_address(host: str) -> Address | None:
    """Parse a host as an IP address (IPv6 without brackets); returns None for a name.

    Raises
    ------
    ValueError
        For decimal, octal, hexadecimal and short forms, and for zones.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return ipaddress.IPv6Address(host)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):  # a name never ends in a number (URL Standard, 3.5)
        return ipaddress.IPv4Address(host)
    return None


def plain_host(host: str) -> str:
    """Return the host of a URL in lower case, international names in their ASCII form (IDNA).

    Raises
    ------
    ValueError
        If it is neither an address in canonical notation nor a name.
    """
    if host.isascii() and literal_address(host) is not None:
        return host.lower()
    try:
        name = host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError("not a name") from error
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a name")
    if literal_address(name) is not None:
        raise ValueError("an address in digits of another script")
    return name


def parse_addresses(texts: Iterable[str]) -> list[Address]:
    """Parse the addresses of a resolver, without duplicates, in order.

    Raises
    ------
    ValueError
        If one of them is not an IP address.
    """
    return list(dict.fromkeys(map(ipaddress.ip_address, texts)))
