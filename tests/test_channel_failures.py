"""Channels whose other side answers badly: what it says is not repeated, and nobody waits for it for long."""

from __future__ import annotations

import resource

import pytest

from monitor.channels.http import LONGEST_READ, HttpClient
from monitor.channels.patience import MOST_LEFT
from monitor.channels.way import Undelivered
from tests.servers.odd import Odd, odd

BAD = b"HTTP/1.1 400 Bad Request\r\n\r\n"


def client(server: Odd, path: str = "/hook", token: str | None = None, timeout_s: float = 0.3) -> HttpClient:
    return HttpClient("channel c", f"http://127.0.0.1:{server.port}{path}", token, None, timeout_s)


def refusal(asked: HttpClient) -> Undelivered:
    with pytest.raises(Undelivered) as refused:
        asked.post({})
    return refused.value


@pytest.mark.parametrize(
    "path", ["/s3cret/pl%20ace", "/caf\N{LATIN SMALL LETTER E WITH ACUTE}s3cret", "/?key=s3cret"]
)
def test_a_server_that_repeats_what_it_was_sent_makes_us_tell_no_secret(path: str) -> None:
    with odd(BAD + b"Cannot do {request}") as server:
        told = str(refusal(client(server, path, token="b3arer")))  # noqa: S106 - made up
    assert told.startswith("channel c: does not take the message (400: Cannot do POST /")
    for hidden in ("s3cret", "ace", "caf", "b3arer"):
        assert hidden not in told


def test_a_secret_that_is_broken_off_is_not_told_in_part() -> None:
    """What is read ends within the secret."""
    with odd(BAD + b" " * (LONGEST_READ - 12) + b"see /verysecret") as server:
        told = str(refusal(client(server, "/verysecret")))
    assert "very" not in told


def test_an_answer_that_comes_bit_by_bit_is_not_waited_for() -> None:
    """Of a refusal its status counts, of a taken message the same; a head that never ends is no answer."""
    with odd(BAD, b"x") as server:
        assert "400: xx" in str(refusal(client(server)))
    with odd(b"HTTP/1.1 200 OK\r\n\r\n", b"x") as server:
        assert client(server).post({}) == 200
    with odd(b"HTTP/1.1 200 OK\r\nX: ", b"x") as server:
        asked = client(server, timeout_s=0.05)
        for _ in range(MOST_LEFT + 2):
            assert str(refusal(asked)) == "channel c: no answer within 0.05 s"
        assert server.asked == MOST_LEFT


def test_an_answer_without_end_is_not_kept() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with odd(BAD, b"x" * 2**20, pause_s=0) as server:
        assert len(str(refusal(client(server)))) < 400
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


@pytest.mark.parametrize(
    ("status", "alone"),
    [(400, True), (413, True), (422, True), (401, False), (404, False), (429, False), (500, False)],
)
def test_whether_another_message_could_be_taken_is_known_by_the_status(status: int, *, alone: bool) -> None:
    with odd(b"HTTP/1.1 %d So\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n" % status) as server:
        refused = refusal(client(server))
    assert (refused.alone, refused.retry_after) == (alone, 7)
