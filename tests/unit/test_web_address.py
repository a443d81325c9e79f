"""The addresses of documents: what a browser would read as the machine or the network around it is no link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.web_address import is_web_address, points_inside


@pytest.mark.parametrize(
    "host",
    [
        # As they are written.
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
        "[::1]", "[::]", "[fd00::1]", "[fc00::1]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]",
        # IPv4 inside IPv6.
        "[::127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        # As browsers read them.
        "①②⑦.0.0.1", "127。0。0。1", "１０.0.0.1", "127%2e0.0.1", "%31%32%37.0.0.1", "127.1", "2130706433", "0x7f.1",
        "0x7f000001", "017700000001", "08.8.8.8", "1.2.3.4.5", "127.0.0.1.", "127.0.0.1\\foo",
        # Names.
        "localhost", "LOCALHOST.", "a.localhost", "ⓛocalhost", "%6cocalhost", "localhost\u2024",
        "localhost.localdomain", "printer.local", "x.LOCAL.", "例え.local", "router.home.arpa",
        "metadata.google.internal", "host.docker.internal", "metadata", "wiki", "airflow-apiserver:8080",
        # Nothing that can be told.
        "a..b", "exa_mple", ".", "example.com:port", "ex%ffample.com", "a%00.example.com", "a" * 64 + ".com",
    ],
)  # fmt: skip
def test_what_points_inside_is_refused(host: str) -> None:
    assert not is_web_address(f"http://{host}/x")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/guide?x=1#y", "http://EXAMPLE.com.:8080/", "https://wiki.corp.example.com/Model",
        "https://local.example.com/", "https://internal.com/", "https://mylocal.org/", "https://a_b.example.com/",
        "https://my-site.1password.com/", "https://例え.jp/", "https://中文.中国/", "http://8.8.8.8/",
        "http://[2606:4700::1111]/", "http://[2002:808:808::]/", "http://[::ffff:8.8.8.8]/",
    ],
)  # fmt: skip
def test_what_stands_outside_is_taken(url: str) -> None:
    assert is_web_address(url)


@given(st.text(max_size=40))
def test_any_host_is_judged(host: str) -> None:
    assert points_inside(host) in (True, False)


@given(st.ip_addresses(v=4, network="10.0.0.0/8"), st.sampled_from("1①１"), st.sampled_from(".。．｡"))
def test_no_way_of_writing_a_private_address_leads_out(address: object, one: str, dot: str) -> None:
    assert points_inside(str(address).replace("1", one).replace(".", dot))
