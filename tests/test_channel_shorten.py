"""Messages that a service takes only in part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from monitor.channels.message import Message
from monitor.channels.shorten import shortened, subject_alone

LINK = "https://plant.example/engines/#/incident/86ae8eaf3da30589"
FIRST = "p1 (plant): coolant temperature 14 °C above what the others explain, for 40 s"
WORDS = Message("[critical] p1 (plant): anomaly", f"{FIRST}\nSince 14:02, critical.\n{LINK}\n\n{FIRST}\n{LINK}")


def test_what_fits_stays_as_it_is() -> None:
    assert shortened(WORDS, 32_768, 250) == WORDS


def test_what_is_too_long_has_its_first_lines_and_its_link() -> None:
    whole = shortened(WORDS, len(WORDS.subject) + 2 + len(FIRST) + len(LINK) + 10, 0)
    assert (whole.subject, whole.text) == (WORDS.subject, f"{FIRST}\n…\n{LINK}")
    sms = shortened(WORDS, 160, 0)
    assert (sms.subject, sms.text) == (WORDS.subject, f"{FIRST[:67]}…\n{LINK}")
    assert len(f"{sms.subject}\r\n{sms.text}") == 158


def test_a_link_that_does_not_fit_is_left_out_and_a_subject_is_cut() -> None:
    small = shortened(WORDS, 80, 0)
    assert (small.subject, small.text) == (WORDS.subject, f"{FIRST[:45]}…")
    assert shortened(WORDS, 20, 0) == Message("[critical] p1 (plan…", "")
    assert shortened(WORDS, 500, 12).subject == "[critical]…"


@given(some.integers(2, 300), some.integers(0, 60), some.lists(some.text("ab é<\n", max_size=90), max_size=9))
def test_no_service_gets_more_than_it_takes(longest: int, longest_subject: int, lines: list[str]) -> None:
    words = Message("subject " * 9, "\n".join([*lines, LINK, *lines]))
    found = shortened(words, longest, longest_subject)
    assert len(found.subject) <= (min(longest, longest_subject) or longest)
    assert not found.text or len(found.subject) + 2 + len(found.text) <= longest
    assert ("http" in found.text) == (LINK in found.text)


def test_what_is_refused_again_and_again_is_told_by_its_subject() -> None:
    assert subject_alone(WORDS) == Message(WORDS.subject, LINK)
