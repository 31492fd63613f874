"""Which hosts and addresses of the internet a URL may lead to: public ones, written in the one usual way."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA's registries of special-purpose addresses (RFC 6890 and its updates), and what is not unicast. They are listed
# rather than asked of `is_global`, whose answer for some of them depends on the version of Python.
_CLOSED_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 reaches the machine itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # of carriers, behind NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; 169.254.169.254 and .170.2 tell the secrets of cloud machines
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols; 192.0.0.192 is a metadata service
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
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
_OPEN_6 = ipaddress.IPv6Network("2000::/3")  # the only part from which public addresses are given out
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
_ISATAP = (0x00005EFE, 0x02005EFE)  # in the middle of an address that holds an IPv4 address at its end
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_LONGEST_NAME = 253


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet: not to this machine, its network or its cloud.

    IPv6 addresses that hold an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) are none, whatever it is.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_4)
    if address.scope_id is not None or address not in _OPEN_6 or not address.is_global:
        return False
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return not any(address in network for network in _CLOSED_6)


def literal_address(host: str) -> Address | None:
    """The address that a host in its usual notation is (IPv6 without brackets); None for a name.

    Raises ValueError for what only looks like an address: decimal, octal, hex or short forms, zones.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return ipaddress.IPv6Address(host)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):  # a name never ends in a number (URL Standard, 3.5)
        return ipaddress.IPv4Address(host)
    return None


def plain_host(host: str) -> str:
    """A host of a URL in small ASCII letters, international names in their ASCII form.

    Raises ValueError where it is neither an address in the usual notation nor a name.
    """
    if host.isascii() and literal_address(host) is not None:
        return host.lower()
    try:
        name = host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError("not a name") from error
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a name")
    if literal_address(name) is not None:
        raise ValueError("an address in digits of another script")
    return name


def parse_addresses(texts: Iterable[str]) -> list[Address]:
    """Addresses as a resolver writes them, each once, in order. Raises ValueError."""
    return list(dict.fromkeys(map(ipaddress.ip_address, texts)))
