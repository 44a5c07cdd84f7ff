"""Channels against real servers, out of a real store: Alertmanager, SMTP, HTTP."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from config.notify import ChannelSettings, NotifySettings
from monitor.channels.census import Census
from monitor.channels.http import HttpClient
from monitor.channels.made import made, plant_of
from monitor.channels.rules import Plant
from monitor.channels.way import Undelivered
from monitor.maintenance import Plan
from monitor.records import StepResult, Transition
from monitor.store import Store
from tests.channel_samples import event
from tests.servers.alertmanagers import alertmanager
from tests.servers.brokers import make_certificates
from tests.servers.hooks import hook, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.channels.sink import Channel
    from monitor.records import AlertEvent

TO = "to=a@b.example&from=ew@b.example"
# What apprise imports on Python 3.11.
PEOPLE = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PAGE = "https://plant.example/engines"


class House:
    """A store and the channels that read it, which can be taken down and set up again."""

    def __init__(self, folder: Path, *, retry_max_s: float = 1, **channel: Any) -> None:
        self.store = Store(folder / "store.db")
        self.settings = NotifySettings(
            page_url=PAGE,
            group_wait_s=0,
            group_interval_s=0.2,
            repeat_interval_s=3600,
            resend_s=0.3,
            retry_max_s=retry_max_s,
            channels=(ChannelSettings(name="c", timeout_s=5, **channel),),
        )
        self.plant = Plant({"plant": 20})
        self.channel = self.make()

    def make(self) -> Channel:
        (channel,) = made(self.settings, "", self.store, lambda: self.plant)
        return channel

    def happens(self, *events: AlertEvent) -> None:
        """Store transitions as the line does."""
        self.store.write(self.store.written + 1, StepResult([], list(events), []))
        self.channel.wake()

    def again(self) -> None:
        """The daemon is started anew."""
        self.channel.stop(10)
        self.channel = self.make()
        self.channel.start()


@contextlib.contextmanager
def house(folder: Path, *, started: bool = True, **channel: Any) -> Iterator[House]:
    made_house = House(folder, **channel)
    if started:
        made_house.channel.start()
    try:
        yield made_house
    finally:
        made_house.channel.stop(10)
        made_house.store.close()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two mails apprise waits for seconds."""
    monkeypatch.setattr("apprise.plugins.email.base.NotifyEmail.request_rate_per_sec", 0)


def cleared(fired: AlertEvent) -> AlertEvent:
    return replace(fired, transition=Transition.CLEARED, time=fired.time + 60_000, event_id=fired.event_id + "c")


def test_alertmanager_has_what_is_open_and_drops_what_is_over(tmp_path: Path) -> None:
    """Two incidents fire, one is over; the identity holds no values; it is sent again after a restart."""
    with alertmanager(tmp_path) as server, house(tmp_path, to="alertmanager", url=server.url) as ours:
        hot = event(time=1_000, severity="critical")
        stuck = event(kind="sensor_stuck", sensor="oil_pressure", asset="plant/hall/p2", time=2_000)
        ours.happens(hot, stuck)
        found = {each["labels"]["alertname"]: each for each in server.wait(lambda alerts: len(alerts) == 2)}
        assert found["EnginewatchAnomaly"]["labels"] == {
            "alertname": "EnginewatchAnomaly",
            "site": "plant",
            "asset": "p1",
            "kind": "anomaly",
            "severity": "critical",
        }
        assert found["EnginewatchAnomaly"]["annotations"]["description"] == hot.summary
        assert found["EnginewatchAnomaly"]["generatorURL"].startswith(PAGE)
        assert found["EnginewatchSensorStuck"]["labels"]["sensor"] == "oil_pressure"
        assert server.groups() == [({"site": "plant"}, 2)]

        ours.again()
        ours.happens(cleared(hot))
        (left,) = server.wait(lambda alerts: len(alerts) == 1)
        assert left["labels"]["asset"] == "p2"
        # Sent again and again, so that it is not taken for over: each time it ends later.
        server.wait(lambda alerts: alerts[0]["updatedAt"] > left["updatedAt"])


def test_alertmanager_is_told_later_of_what_happened_while_it_was_away(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as server, house(tmp_path, to="alertmanager", url=server.url) as ours:
        hot = event(time=1_000)
        ours.happens(hot)
        server.wait(lambda alerts: len(alerts) == 1)
        server.stop()
        ours.happens(cleared(hot), event(asset="plant//p2", time=70_000))
        while not ours.channel.last_error:
            ours.channel.thread.join(0.01)
        assert ours.channel.last_error.startswith("channel c: ")
        server.start()
        server.wait(lambda alerts: [each["labels"]["asset"] for each in alerts] == ["p2"])
        while ours.channel.last_error:
            ours.channel.thread.join(0.01)


def test_what_is_shelved_or_excluded_is_not_in_alertmanager(tmp_path: Path) -> None:
    """And it stays shelved when it is acknowledged meanwhile."""
    with alertmanager(tmp_path) as server, house(tmp_path, to="alertmanager", url=server.url) as ours:
        hot = event(time=1_000)
        ours.happens(hot, event(asset="_canary//main", time=1_000), event(asset="plant//p2", time=1_000))
        server.wait(lambda alerts: len(alerts) == 2)
        ours.happens(replace(hot, transition=Transition.SHELVED, event_id="s", until=10**15))
        (left,) = server.wait(lambda alerts: len(alerts) == 1)
        assert left["labels"]["asset"] == "p2"
        ours.happens(replace(hot, transition=Transition.ACKNOWLEDGED, event_id="a"))
        # What comes afterwards arrives, so the acknowledgement has been taken in.
        ours.happens(event(asset="plant//p3", time=2_000))
        alerts = server.wait(lambda alerts: any(each["labels"]["asset"] == "p3" for each in alerts))
        assert sorted(each["labels"]["asset"] for each in alerts) == ["p2", "p3"]
        ours.happens(replace(hot, transition=Transition.UNSHELVED, event_id="u"))
        server.wait(lambda alerts: len(alerts) == 3)


@PEOPLE
@pytest.mark.usefixtures("unhurried")
def test_people_get_one_mail_with_subject_words_and_link(tmp_path: Path) -> None:
    with (
        mailbox() as box,
        house(tmp_path, started=False, url=f"mailto://127.0.0.1:{box.port}?{TO}") as ours,
    ):
        ours.channel.start()
        hot = event(time=1_000, started=1_000, severity="critical")
        ours.happens(hot)
        (mail,) = box.wait(lambda mails: len(mails) == 1)
        assert mail["Subject"] == "[critical] p1 (plant): anomaly: coolant temperature"
        text = mail.get_content()
        assert hot.summary in text
        assert "Since 1970-01-01 00:00:01 UTC" in text
        assert f"{PAGE}/#/incident/{hot.incident_id}" in text
        ours.happens(cleared(hot))
        (_, mail) = box.wait(lambda mails: len(mails) == 2)
        assert mail["Subject"] == "[over] p1 (plant): anomaly: coolant temperature"


@PEOPLE
@pytest.mark.usefixtures("unhurried")
def test_a_mail_that_is_refused_is_sent_later_and_the_error_tells_no_password(tmp_path: Path) -> None:
    with mailbox() as box:
        box.refusing = True
        with house(tmp_path, url=f"mailto://127.0.0.1:{box.port}?to=hunter2@b.example&from=ew@b.example") as ours:
            ours.happens(event(time=1_000))
            while not ours.channel.last_error:
                ours.channel.thread.join(0.01)
            assert "did not take the message" in ours.channel.last_error
            assert "hunter2" not in ours.channel.last_error
            box.refusing = False
            box.wait(lambda mails: len(mails) == 1)


@PEOPLE
@pytest.mark.usefixtures("unhurried")
def test_nobody_gets_a_mail_again_because_another_does_not_take_it(tmp_path: Path) -> None:
    with mailbox() as box:
        box.unknown = {"gone@b.example"}
        url = f"mailto://127.0.0.1:{box.port}?to=good@b.example,gone@b.example&from=ew@b.example"
        with house(tmp_path, url=url) as ours:
            ours.happens(event(time=1_000))
            while ours.channel.failures < 2:
                ours.channel.thread.join(0.01)
            assert (box.taken, ours.channel.sent) == ([["good@b.example"]], 1)
            assert "for recipient 2 of 2" in ours.channel.last_error
            box.unknown = set()
            box.wait(lambda mails: len(mails) == 2)
            while ours.channel.last_error:
                ours.channel.thread.join(0.01)
            assert box.taken == [["good@b.example"], ["gone@b.example"]]


def test_a_webhook_gets_alertmanagers_body_with_its_token(tmp_path: Path) -> None:
    with hook() as server, house(tmp_path, to="webhook", url=server.url, token="s3cret") as ours:  # noqa: S106 - made up
        hot = event(time=1_000, started=1_000)
        ours.happens(hot)
        headers, body = server.wait(1)[0]
        assert headers["authorization"] == "Bearer s3cret"
        assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "c")
        assert body["groupLabels"] == {"site": "plant", "asset": "p1"}
        (alert,) = body["alerts"]
        assert (alert["status"], alert["startsAt"]) == ("firing", "1970-01-01T00:00:01.000Z")
        assert alert["annotations"]["score"] == "4.2"
        ours.happens(cleared(hot))
        _, over = server.wait(2)[1]
        assert (over["status"], over["alerts"][0]["endsAt"]) == ("resolved", "1970-01-01T00:01:01.000Z")
        assert over["alerts"][0]["fingerprint"] == alert["fingerprint"]


def test_a_message_that_is_not_taken_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with hook() as server, house(tmp_path, to="webhook", url=server.url) as ours:
        server.refused = "'asset': 'p1'"
        ours.happens(event(time=1_000), event(asset="plant//p2", time=1_000))
        while not any("'p2'" in str(body) for _, body in list(server.requests)):
            ours.channel.thread.join(0.01)
        server.refused = "nothing"
        while ours.channel.sent < 2:
            ours.channel.thread.join(0.01)


def test_a_message_that_is_refused_waits_alone(tmp_path: Path) -> None:
    """It is to be tried again in 50 minutes; what comes up meanwhile is told at once, and the reason stands."""
    with hook() as server, house(tmp_path, to="webhook", url=server.url, retry_max_s=3600) as ours:
        server.refused, server.retry_after = "'asset': 'p1'", "3000"
        ours.happens(event(time=1_000))
        while not ours.channel.last_error:
            ours.channel.thread.join(0.01)
        ours.happens(event(asset="plant//p2", time=1_000))
        server.wait(2)
        while not ours.channel.sent:
            ours.channel.thread.join(0.01)
        ours.happens(event(asset="plant//p3", time=1_000))
        assert [body["groupLabels"]["asset"] for _, body in server.wait(3)] == ["p1", "p2", "p3"]
        assert ours.channel.last_error == "channel c: does not take the message (400)"


def test_no_answer_silences_a_channel_for_longer_than_the_settings_say(tmp_path: Path) -> None:
    """It asks for 3,000 years, for which no thread can wait."""
    with hook() as server, house(tmp_path, to="webhook", url=server.url) as ours:
        server.status, server.retry_after = 503, "99999999999"
        ours.happens(event(time=1_000))
        while not ours.channel.last_error:
            ours.channel.thread.join(0.01)
        server.status = 200
        server.wait(2)
        assert ours.channel.thread.is_alive()


def test_a_webhook_that_breaks_off_is_told_the_same_with_the_same_key_whatever_joins_it(tmp_path: Path) -> None:
    """It takes the request and answers nothing: what comes meanwhile is another message, over a restart too."""
    with hook() as server, house(tmp_path, to="webhook", url=server.url, group_by="site") as ours:
        server.breaks_off = True
        ours.happens(event(time=1_000))
        while not ours.channel.last_error:
            ours.channel.thread.join(0.01)
        ours.happens(event(asset="plant//p2", time=1_000))
        ours.again()
        server.breaks_off = False
        while "p2" not in str(server.requests[-1]):
            ours.channel.thread.join(0.01)
        told = [(headers["idempotency-key"], body) for headers, body in server.requests]
        first = [body for key, body in told if key == told[0][0]]
        assert len(first) >= 2
        assert all(body == first[0] for body in first)
        assert told[-1][0] != told[0][0]
        assert "p2" in {alert["labels"]["asset"] for alert in told[-1][1]["alerts"]}


def test_a_webhook_is_spoken_to_over_tls_if_its_authority_is_known(tmp_path: Path) -> None:
    made_for = make_certificates(tmp_path / "certificates")
    with hook(made_for) as server:
        client = HttpClient("channel c", server.url, None, made_for.ca_file, 5)
        assert client.post({"a": 1}) == 200
        client.close()
        for url, ca_file, words in (
            (server.url, None, r"TLS failed \(unable to get local issuer certificate\): see its url and ca_file"),
            (
                server.url.replace("localhost", "127.0.0.1"),
                made_for.ca_file,
                "the certificate is for another name",
            ),
        ):
            with pytest.raises(Undelivered, match=words):
                HttpClient("channel c", url, None, ca_file, 5).post({})
        assert len(server.requests) == 1
    with hook() as plain, pytest.raises(Undelivered, match="it speaks no TLS"):
        HttpClient("channel c", plain.url.replace("http://", "https://"), None, None, 5).post({})


def test_our_webhook_has_the_form_of_alertmanagers_own(tmp_path: Path) -> None:
    """The real one is given an incident and sends a webhook of it: ours has every key of it, of the same type."""
    with hook() as theirs, hook() as server, alertmanager(tmp_path, theirs.url) as real:
        ways = (("alertmanager", real.url, theirs), ("webhook", server.url, server))
        for to, url, heard in ways:
            folder = tmp_path / to
            folder.mkdir()
            with house(folder, to=to, url=url) as ours:
                ours.happens(event(time=1_000, started=1_000))
                heard.wait(1)
    (_, wanted), (_, found) = theirs.requests[0], server.requests[0]
    form = {name: type(value) for name, value in wanted.items()}
    assert {name: type(found.get(name)) for name in form} == form
    (their, our) = wanted["alerts"][0], found["alerts"][0]
    assert our.keys() >= their.keys()
    for same in ("status", "labels", "annotations", "endsAt", "generatorURL"):
        assert our[same] == their[same]
    assert datetime.fromisoformat(our["startsAt"]) == datetime.fromisoformat(their["startsAt"])


def test_a_channel_that_is_no_longer_there_is_forgotten(tmp_path: Path) -> None:
    """Should it come back it is new: it does not begin where it once was."""
    store = Store(tmp_path / "store.db")
    store.remember("channel:a", 3, "{}")
    store.remember("channel:b", 4, "{}")
    store.forget_channels({"channel:b"})
    assert (store.remembered("channel:a"), store.position("channel:a")) == (None, 0)
    assert (store.remembered("channel:b"), store.position("channel:b")) == ("{}", 4)
    store.close()


def test_the_plant_is_what_the_line_knows() -> None:
    """An asset that two classes have heard is one; a maintenance that has not begun yet is none."""
    state: Any = SimpleNamespace(
        classes=[SimpleNamespace(keys=["a//1", "a//2", "b//1"]), SimpleNamespace(keys=["a//2"])],
        plans={"a//1": Plan(0, 9, begun=True), "b//1": Plan(5, 9)},
    )
    assert plant_of(state) == Plant({"a": 2, "b": 1}, frozenset({"a//1"}))


def test_while_the_line_is_busy_the_plant_is_as_it_was() -> None:
    class Line:
        busy = False

        def ask(self, question: Any, seconds: float) -> Any:
            del question, seconds
            if self.busy:
                raise TimeoutError
            return Plant({"plant": 3})

    line = Line()
    census = Census(line, lambda _: Plant({}))
    line.busy = True
    assert census() == Plant({})
    line.busy = False
    assert census() == Plant({"plant": 3})
    line.busy = True
    assert census() == Plant({"plant": 3})


def test_what_is_open_when_a_channel_is_new_is_told_and_history_is_not(tmp_path: Path) -> None:
    with hook() as server, house(tmp_path, started=False, to="webhook", url=server.url) as ours:
        old = event(time=1_000)
        ours.happens(old, cleared(old), event(asset="plant//p2", time=2_000))
        ours.channel.start()
        _, body = server.wait(1)[0]
        assert [alert["labels"]["asset"] for alert in body["alerts"]] == ["p2"]
        ours.happens(event(asset="plant//p3", time=3_000))
        assert server.wait(2)[1][1]["alerts"][0]["labels"]["asset"] == "p3"
        assert len(server.requests) == 2


def test_a_restart_repeats_nothing_and_loses_no_end(tmp_path: Path) -> None:
    """Told before the restart; its end comes while nobody listens, is refused at first, and then told once."""
    with hook() as server, house(tmp_path, to="webhook", url=server.url) as ours:
        hot = event(time=1_000)
        ours.happens(hot)
        server.wait(1)
        ours.again()
        server.status = 500
        ours.happens(cleared(hot))
        server.wait(2)
        server.status = 200
        server.wait(3)
        ours.again()
        ours.happens(event(asset="plant//p2", time=9_000))
        bodies = [body for _, body in server.wait(4)]
        assert [body["status"] for body in bodies] == ["firing", "resolved", "resolved", "firing"]
        keys = [headers["idempotency-key"] for headers, _ in server.requests]
        assert keys[1] == keys[2]
        assert len(set(keys)) == 3
