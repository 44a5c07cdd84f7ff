"""Who may ask the HTTP port for what."""

from __future__ import annotations

import doctest
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import addresses
from monitor import exposition
from monitor.web import rules as rules_module
from monitor.web.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "sixteen letters, or more"  # noqa: S105 - a test's own
HERE = Rules("127.0.0.1")
WITH_TOKEN = Rules("127.0.0.1", TOKEN)
BEHIND_PROXY = Rules("127.0.0.1", TOKEN, ("watch.plant.example",))
EVERYWHERE = Rules("0.0.0.0", TOKEN)  # noqa: S104 - nothing is bound
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}


def status(
    rules: Rules, method: str, host: str, headers: Mapping[str, str] | None = None, path: str = "/metrics"
) -> int:
    """The status with which a request is refused; 0 where it is not."""
    refused = rules.refusal(method, path, {"host": host, **(headers or {})})
    return int(refused.status) if refused else 0


@pytest.mark.parametrize(
    ("rules", "host", "ours"),
    [
        (HERE, "127.0.0.1:8080", True),
        (HERE, "localhost", True),
        (HERE, "LOCALHOST.:8080", True),
        (HERE, "[::1]:8080", True),
        (HERE, "evil.example", False),
        (HERE, "evil.example:8080", False),
        (HERE, "localhost.evil.example", False),
        (HERE, "127.0.0.1.nip.example", False),
        (HERE, "localhost@evil.example", False),
        (HERE, "localhost,evil.example", False),
        (HERE, "localhost:x", False),
        (HERE, "192.0.2.7", False),
        (HERE, "", False),
        (BEHIND_PROXY, "watch.plant.example", True),
        (BEHIND_PROXY, "other.plant.example", False),
        (EVERYWHERE, "192.0.2.7:8080", True),
        (EVERYWHERE, "[2001:db8::1]", True),
        (EVERYWHERE, "localhost:8080", True),
        (EVERYWHERE, "evil.example", False),
        (EVERYWHERE, "localhost.evil.example", False),
        (Rules("192.0.2.7", TOKEN), "192.0.2.7:8080", True),
        (Rules("192.0.2.7", TOKEN), "192.0.2.8:8080", False),
    ],
)
def test_only_names_of_ours_are_answered(rules: Rules, host: str, ours: bool) -> None:
    """A name that somebody pointed here (DNS rebinding) is none; where all addresses are bound, each is."""
    assert rules.is_ours(host) == ours
    assert (status(rules, "GET", host, BEARER) == 421) != ours


@given(st.text(max_size=30))
def test_no_host_but_ours_is_ours(host: str) -> None:
    """Whatever stands in the header, it raises nothing, and what passes is this machine."""
    if HERE.is_ours(host):
        name = host.lower().rpartition(":")[0] if host.count(":") == 1 else host.lower()
        assert name.rstrip(".").endswith("localhost") or "127." in name or "::1" in name or ":1" in name


@pytest.mark.parametrize(
    ("rules", "headers", "read", "change"),
    [
        (HERE, {}, 0, 0),
        (WITH_TOKEN, {}, 0, 401),
        (WITH_TOKEN, BEARER, 0, 0),
        (BEHIND_PROXY, {}, 401, 401),
        (BEHIND_PROXY, BEARER, 0, 0),
        (EVERYWHERE, {}, 401, 401),
        (EVERYWHERE, BEARER, 0, 0),
        (EVERYWHERE, {"authorization": "bearer " + TOKEN}, 0, 0),
        (EVERYWHERE, {"authorization": "Bearer " + TOKEN[:-1]}, 401, 401),
        (EVERYWHERE, {"authorization": "Bearer " + TOKEN + "x"}, 401, 401),
        (EVERYWHERE, {"authorization": "Basic " + TOKEN}, 401, 401),
        (EVERYWHERE, {"authorization": TOKEN}, 401, 401),
        (EVERYWHERE, {"authorization": "Bearer"}, 401, 401),
        (EVERYWHERE, {"authorization": "Bearer \xff\ud800"}, 401, 401),
    ],
)
def test_who_needs_the_token(rules: Rules, headers: dict[str, str], read: int, change: int) -> None:
    """On this machine: nobody without one, those who change something with one. From elsewhere: everybody."""
    host = "127.0.0.1:8080"
    assert status(rules, "GET", host, headers) == read
    assert status(rules, "HEAD", host, headers) == read
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"):
        assert status(rules, method, host, JSON | headers) == change


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),  # no browser
        ({"origin": "http://localhost:8080"}, 0),
        ({"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}, 0),
        ({"sec-fetch-site": "none"}, 0),
        ({"origin": "http://localhost:8081"}, 403),  # another program of this machine
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://127.0.0.1:8080"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:8080.evil.example"}, 403),
        ({"origin": "http://localhost:8080@evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost:8080", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_origin_changes_nothing_and_asks_for_no_facts(
    headers: dict[str, str], expected: int
) -> None:
    """On loopback too, and with the token that a browser might add by itself."""
    assert status(HERE, "POST", "localhost:8080", JSON | headers) == expected
    assert status(WITH_TOKEN, "POST", "localhost:8080", JSON | BEARER | headers) == expected
    assert status(HERE, "GET", "localhost:8080", headers, "/api/v1/live") == expected
    assert status(HERE, "GET", "localhost:8080", headers, "/") == 0  # a link to the page may stand anywhere


def test_a_proxy_that_speaks_tls_is_the_same_origin() -> None:
    """The browser sees https without a port, and so does Host."""
    headers = JSON | BEARER | {"origin": "https://watch.plant.example"}
    assert status(BEHIND_PROXY, "POST", "watch.plant.example", headers) == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", 0),
        ("Application/JSON; charset=utf-8", 0),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("text/plain; application/json", 415),
        ("", 415),
    ],
)
def test_what_a_form_can_send_is_refused(kind: str, expected: int) -> None:
    """A page may send these three kinds anywhere without asking; none is JSON."""
    assert status(HERE, "POST", "localhost", {"content-type": kind}) == expected


def test_the_examples_in_the_docstrings() -> None:
    for module in (addresses, rules_module, exposition):
        failed, tried = doctest.testmod(module)
        assert tried
        assert not failed
