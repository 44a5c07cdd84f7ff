"""People whose services take a message in part, too slowly, or not as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.channels.patience import MOST_LEFT
from monitor.channels.people import OFTEN, STEPS, People
from monitor.channels.way import Undelivered
from tests.channel_samples import Told, event
from tests.servers.hooks import hook, mailbox
from tests.servers.odd import odd

if TYPE_CHECKING:
    from monitor.channels.memory import Telling

# What apprise imports on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PAGE = "https://plant.example"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two mails apprise waits for seconds."""
    monkeypatch.setattr("apprise.plugins.email.base.NotifyEmail.request_rate_per_sec", 0)


def people(url: str, timeout_s: float = 5) -> People:
    return People("channel c", url, "c", PAGE, timeout_s)


def telling(asset: str = "plant//p1", incidents: int = 1) -> Telling:
    told = Told()
    told.at(0, *(event(asset=asset, started=number) for number in range(incidents)))
    (found,) = told.at(30)
    return found


def test_a_recipient_that_is_gone_costs_the_others_nothing() -> None:
    """One mail each; the gone one is told apart, and gets what it missed once it is there."""
    with mailbox() as box:
        box.unknown = {"gone@b.example"}
        to = people(f"mailto://127.0.0.1:{box.port}?to=good@b.example,gone@b.example&from=ew@b.example")
        for asset in ("plant//p1", "plant//p2"):
            with pytest.raises(Undelivered, match="for recipient 2 of 2 ") as refused:
                to.tell(telling(asset))
            assert refused.value.partly
            assert "gone@" not in str(refused.value)
        with pytest.raises(Undelivered, match="for recipient 2 of 2 "):
            to.again()
        assert box.taken == [["good@b.example"], ["good@b.example"]]
        box.unknown = set()
        to.again()
        to.again()
        assert box.taken[2:] == [["gone@b.example"], ["gone@b.example"]]
        assert [str(mail["Subject"])[:2] for mail in box.mails] == ["p1", "p2", "p1", "p2"]


def test_a_server_that_answers_bit_by_bit_is_not_waited_for() -> None:
    """A greeting of SMTP that never ends; those that were given up do not become more and more."""
    with odd(b"220", b"-", listen=False) as server:
        to = people(f"mailto://127.0.0.1:{server.port}?to=a@b.example&from=ew@b.example", timeout_s=0.1)
        for _ in range(MOST_LEFT + 2):
            with pytest.raises(Undelivered, match=f"within {STEPS * 0.1:g} s"):
                to.tell(telling())
        assert server.asked == MOST_LEFT


def test_a_server_that_says_nothing_is_waited_for_as_long_as_the_settings_say() -> None:
    """By apprise itself, whose own limit for mail is 15 s: its reason is told and not ours."""
    with odd(b"") as server:  # it hears nothing, and so it says nothing
        to = people(f"mailto://127.0.0.1:{server.port}?to=a@b.example&from=ew@b.example", timeout_s=0.1)
        with pytest.raises(Undelivered, match="did not take the message \\(Connection error"):
            to.tell(telling())
        slow = people(f"json://127.0.0.1:{server.port}/?rto=7", timeout_s=0.1)
        assert slow._made()[0].service.socket_read_timeout == 7


def test_a_message_that_is_too_long_for_the_service_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as an SMS, with its link; an address may ask for more than one message in its place."""
    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.body_maxlen", 160)
    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.title_maxlen", 0)
    with hook() as server:
        address = f"json://127.0.0.1:{server.port}/x"
        people(address).tell(telling(incidents=9))
        (_, body) = server.wait(1)[0]
        assert body["message"].startswith("p1 (plant): 9 incidents")
        assert len(body["message"]) <= 160
        assert f"{PAGE}/#/incident/" in body["message"]
        people(f"{address}?overflow=split").tell(telling(incidents=9))
        assert len(server.wait(5)) > 5


def test_what_is_refused_again_and_again_is_told_by_its_subject() -> None:
    with hook() as server:
        server.refused = "above what the others explain"
        to = people(f"json://127.0.0.1:{server.port}/x")
        for _ in range(OFTEN):
            with pytest.raises(Undelivered) as refused:
                to.tell(telling())
            assert refused.value.alone
        to.tell(telling())
        (_, body) = server.requests[-1]
        assert body["title"] == "p1 (plant): anomaly: coolant temperature"
        assert body["message"].startswith(f"{PAGE}/#/incident/")
        with pytest.raises(Undelivered):  # the next is new
            to.tell(telling())
