"""Public addresses, and hosts in the usual notation."""

from __future__ import annotations

import ipaddress

import pytest

from faceall.web.fetch.addresses import is_public, literal_address, parse_addresses, plain_host

CLOSED = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    "2002:7f00:1::1", "2002:808:808::1", "2620:4f:8000::1", "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:a00:1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2a00:1450:4001::1%eth0", "fec0::1",
    "ff02::1",
)  # fmt: skip


@pytest.mark.parametrize("text", CLOSED)
def test_special_purpose_addresses_are_not_public(text: str) -> None:
    """Special-purpose and multicast addresses are refused, also if an IPv6 address contains them."""
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1",
     "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"],
)  # fmt: skip
def test_an_address_of_the_internet_is_public(text: str) -> None:
    """Addresses next to special-purpose networks are public."""
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "127.0.0.1.",
     "1.2.3.4.5", "256.1.1.1", "1.2.3.04", "0x", "foo.0x1", "foo.1", "foo.1.",
     "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
     "fe80::1%eth0", "::ffff:1.2.3", "1:2", "", ".", "a..b", "-a.com", "a-.com", "a b", "a/b", "a%2e.com",
     "x" * 64 + ".com", "a." * 130 + "com", "exa mple.com", "ex\0ample"],
)  # fmt: skip
def test_a_host_in_an_odd_notation_is_refused(host: str) -> None:
    """Decimal, octal, hex, short and full-width forms, zones and invalid names are refused."""
    with pytest.raises(ValueError, match=r".*"):
        plain_host(host)


@pytest.mark.parametrize(
    ("host", "plain"),
    [("Example.COM", "example.com"), ("example.com.", "example.com."), ("BÜCHER.example", "xn--bcher-kva.example"),
     ("a_b.example", "a_b.example"), ("8.8.8.8", "8.8.8.8"), ("2606:4700::1111", "2606:4700::1111"),
     ("localhost", "localhost"),
     ("0x7f.example", "0x7f.example")],
)  # fmt: skip
def test_a_host_is_normalised(host: str, plain: str) -> None:
    """Hosts are lower-cased, and international names get their ASCII form."""
    assert plain_host(host) == plain


def test_only_usual_notation_is_an_address() -> None:
    """A host is an address only in the usual notation, otherwise a name."""
    assert literal_address("8.8.8.8") == ipaddress.ip_address("8.8.8.8")
    assert literal_address("2606::1") == ipaddress.ip_address("2606::1")
    assert literal_address("example.com") is None


def test_resolved_addresses_are_unique_and_in_order() -> None:
    """Addresses of a resolver keep their order, without duplicates."""
    assert list(map(str, parse_addresses(["9.9.9.9", "1.1.1.1", "9.9.9.9"]))) == ["9.9.9.9", "1.1.1.1"]
