"""From facts to one line for every hop: how it does, and what to change. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.doctor.facts import Finding, State
from monitor.watch import PASSES, Facts, Place, stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.doctor.facts import (
        BrokerFacts,
        ChannelFacts,
        DaemonFacts,
        HttpFacts,
        InfluxFacts,
        LineFacts,
        ModelFacts,
        StoreFacts,
        StreamTimes,
    )

_OF_TIME = re.compile(r"\bepoch\b|RFC 3339|\btime")
OK, WARNING, FAILED, SKIPPED = State
TOLD = 3  # of a kind, before "and more"
SLOWER = 1.5  # times the period: readings that far apart leave ticks empty
FASTER = 0.1  # share of values that give way to a later one of their tick
BEHIND_MS = 60_000  # a clock, or a gateway's buffer
NO_BIRTH = "data before a birth certificate"  # as Sparkplug B is refused
LEAST_FREE = 200 << 20  # bytes under which a disk is as good as full


def exit_code(findings: Sequence[Finding]) -> int:
    """0 = nothing failed, 1 = something did, 2 = the settings are wrong."""
    failed = [finding.hop for finding in findings if finding.state is FAILED]
    return 2 if "settings" in failed else int(bool(failed))


def skipped(hops: Sequence[str], why: str) -> list[Finding]:
    """Hops that cannot be looked at."""
    return [Finding(hop, SKIPPED, why) for hop in hops]


def model(models: Sequence[ModelFacts]) -> Finding:
    """Whether every class's model loads and scores a window."""
    for each in models:
        if each.problem:
            return Finding("model", FAILED, f"class {each.asset_class}: {each.problem}", "see classes.model")
        if each.model and not each.finite:
            said = f"class {each.asset_class}: {each.model} gives no number for a window of its sensors' middle"
            return Finding("model", FAILED, said, "train it anew")
    without = [each.asset_class for each in models if not each.model]
    good = [f"{each.model} scored one window" for each in models if each.model]
    if without:
        said = "; ".join([f"no model for class {_some(without)}, so nothing of it is scored", *good])
        remedy = "let the daemon record, then enginewatch train --from-store and models promote"
        return Finding("model", WARNING, said, remedy)
    return Finding("model", OK, "; ".join(good))


def connect(broker: BrokerFacts) -> Finding:
    """Whether the broker takes the connection; its refusals come with their remedy."""
    if not broker.connected:
        return Finding("connect", FAILED, broker.problem)
    who = f" as {broker.user}" if broker.user else ""
    return Finding("connect", OK, f"{broker.place} takes the connection{who}")


def subscribe(broker: BrokerFacts) -> Finding:
    """Whether it lets us listen."""
    if broker.refused:
        said = f"the broker refuses the subscription to {_some(broker.refused)}"
        return Finding("subscribe", FAILED, said, "allow it for mqtt.username in the broker's ACL")
    if broker.problem:
        return Finding("subscribe", FAILED, broker.problem)
    return Finding("subscribe", OK, _some(broker.filters))


def first_message(broker: BrokerFacts) -> Finding:
    """Whether anything arrives."""
    hop = "first message"
    if broker.silent and broker.fresh:
        said = (
            f"{_count(broker.fresh, 'message')} in {broker.waited_s:.0f} s, none of class {_some(broker.silent)}"
        )
        remedy = "compare classes.topics with where its machines publish; --wait longer where they report seldom"
        return Finding(hop, FAILED, said, remedy)
    if broker.fresh:
        return Finding(hop, OK, f"{_count(broker.fresh, 'message')} in {broker.waited_s:.0f} s")
    said = f"nothing for {broker.waited_s:.0f} s on {_some(broker.filters)}"
    if broker.retained:
        said = f"only what the broker had kept ({_count(broker.retained, 'retained message')}), {said}"
    if broker.elsewhere:
        said += f"; but there is something on {_some(broker.elsewhere)}"
        return Finding(hop, FAILED, said, "set classes.topics and mqtt.root to where the readings are published")
    remedy = "is anything published there (classes.topics, mqtt.root), and may mqtt.username read it? "
    return Finding(hop, FAILED, said, f"{remedy}--wait longer where it comes seldom")


def decode(line: LineFacts) -> Finding:
    """What became of the messages that were seen."""
    if line.outside:
        return _out_of_range(line)
    refused, ignored = line.outcomes["dead_letter"], line.outcomes["ignored"]
    good = sum(line.outcomes.values()) + line.waiting - refused - ignored
    taken = f"{_count(good, 'value')} of {_count(len(line.streams), 'asset')} taken"
    if ignored:
        taken += f", {ignored} ignored"
    if not refused:
        nothing = "the messages hold no value of these sensors; set classes.payload to what is published" + (
            " but those that the asset file ignores" if ignored else ""
        )
        return Finding("decode", OK if good else FAILED, taken, "" if good else nothing)
    first: dict[str, str] = {}  # reasons that differ in a number are one
    for topic, reason in line.letters:
        first.setdefault(re.sub(r"\d+", "0", reason), f"{reason} (on {topic})")
    reasons = list(first.values())
    said = f"{taken}, {refused} refused: {_some(reasons)}"
    if line.letters and all(reason.startswith(NO_BIRTH) for _, reason in line.letters):
        remedy = "births name the metrics, and came before we listened; a running daemon asks the nodes for them"
        return Finding("decode", WARNING, said, remedy)
    remedy = "compare the messages with the asset file (names of the sensors) and classes.topics, classes.assets"
    if any(_OF_TIME.search(reason) for _, reason in line.letters):
        remedy = "set classes.time and paths.time, paths.time_format to how the messages have it"
    if good and line.unread:
        said = f"nothing of class {_some(line.unread)} can be read; {said}"
    return Finding("decode", FAILED if not good or line.unread else WARNING, said, remedy)


def _out_of_range(line: LineFacts) -> Finding:
    """Values that cannot be: most likely they come in another unit."""
    each = line.outside[0]
    bounds = (
        f"{'' if each.least is None else f'{each.least:g}'} to {'' if each.most is None else f'{each.most:g}'}"
    )
    said = (
        f"every value of {each.sensor} of class {each.asset_class} lies at {each.lowest:g} to {each.highest:g}, "
        f"out of its range {bounds}"
        + (f"; {len(line.outside) - 1} more sensors as well" if line.outside[1:] else "")
    )
    remedy = "set published_unit, or scale and offset, in the asset file; or mend min and max there"
    return Finding("decode", FAILED, said, remedy)


def tick(line: LineFacts) -> Finding:
    """Whether the readings fit the grid."""
    outcomes = line.outcomes
    aside = outcomes["dead_letter"] + outcomes["quarantined"] + outcomes["ignored"]
    taken = sum(outcomes.values()) + line.waiting - aside
    if not taken:
        return Finding("tick", SKIPPED, "no reading was taken")
    for each in line.streams:
        period = line.periods[each.asset_class]
        if each.spacing_ms is not None and each.spacing_ms > SLOWER * period:
            said = f"{each.stream} is heard every {each.spacing_ms / 1000:g} s, and a tick is {period / 1000:g} s"
            remedy = f"set period_ms in the asset file of class {each.asset_class} to what its machines report"
            held = each.spacing_ms <= period + line.holds.get(each.asset_class, 0)  # so no tick is empty
            return Finding("tick", WARNING if held else FAILED, said, remedy)
    if outcomes["superseded"] > FASTER * taken:
        said = f"{outcomes['superseded']} of {taken} values give way to a later one of the same tick"
        return Finding("tick", WARNING, said, "the readings come faster than period_ms in the asset file")
    if not line.ticks:
        said = "no tick has closed yet"
        return Finding("tick", WARNING, said, "--wait longer: a tick closes allowed_lateness_ms behind its end")
    return Finding("tick", OK, f"{_count(line.ticks, 'tick')} closed")


def score(daemon: DaemonFacts) -> Finding:
    """Whether a running daemon scores, and where it stopped if not."""
    if not daemon.running:
        return Finding("score", SKIPPED, "no daemon runs on this state folder", "enginewatch monitor starts it")
    if daemon.after is None or daemon.before is None:
        return Finding("score", WARNING, "the daemon runs and has noted nothing yet", "ask again in a few seconds")
    base, now = (_facts(daemon, books) for books in (daemon.before, daemon.after))
    if now.scored > base.scored:
        said = f"{_count(now.scored - base.scored, 'row')} scored in {daemon.waited_s:.0f} s"
        return Finding("score", OK, f"{said}, {now.scored} since the daemon's beginning")
    if not now.streams:  # what was taken is of no asset: it is the canary's
        now = replace(now, values=base.values + now.refused - base.refused + now.too_late - base.too_late)
    quiet = daemon.waited_s if now.values == base.values else 0.0
    place, sentence = stopped(now, base, quiet, daemon.waited_s)
    passes = place in PASSES or place is Place.MODEL
    return Finding("score", WARNING if passes else FAILED, f"the daemon scores nothing: {sentence}")


def _facts(daemon: DaemonFacts, books: object) -> Facts:
    """What the daemon's books say; the messages of theirs that we saw come with the latest."""
    return Facts.of_books(
        books,  # type: ignore[arg-type]  # books are JSON
        broker="" if daemon.broker == "connected" else daemon.broker,
        topics=daemon.topics,
        disk_full=False,
        messages=daemon.messages if books is daemon.after else 0,
        behind=0,
        unmodelled=daemon.unmodelled,
    )


def store(facts: StoreFacts) -> Finding:
    """Whether there is a place to write, and room."""
    if facts.problem:
        return Finding("store", FAILED, f"{facts.folder}: {facts.problem}", "see daemon.state_dir")
    said = f"{facts.folder} is writable, {_size(facts.free)} free, {_size(facts.used)} used"
    if facts.free < LEAST_FREE:
        return Finding("store", FAILED, said, "make room: with a full disk nothing is taken in")
    if facts.free + facts.used < facts.budget:
        remedy = "make room, or lower store.max_bytes and store.journal_max_bytes"
        return Finding("store", WARNING, f"{said}; the settings allow {_size(facts.budget)}", remedy)
    return Finding("store", OK, f"{said} of {_size(facts.budget)}")


def influx(facts: InfluxFacts) -> Finding:
    """Whether a point arrives."""
    if not facts.url:
        return Finding("influx", SKIPPED, "influx.url is empty: nothing is sent")
    if facts.write_problem:
        return Finding("influx", FAILED, facts.write_problem)
    written = f"a point was written to {facts.bucket}"
    if facts.no_query_api:
        said = f"{written}; not read back, because {facts.url} has no InfluxQL query address for it"
        said += f" ({facts.read_problem})"
        remedy = "dashboards in InfluxQL need one: on InfluxDB 2 a DBRP mapping of the bucket"
        return Finding("influx", WARNING, said, remedy)
    if facts.read_problem:
        return Finding("influx", FAILED, f"{written} and not read back: {facts.read_problem}", "see influx.bucket")
    return Finding("influx", OK, f"{written} and read back")


def channels(facts: Sequence[ChannelFacts]) -> Finding:
    """Whether somebody is at the other end of every channel of alerts."""
    if not facts:
        return Finding("channels", SKIPPED, "notify.channels is empty: nobody is told but by MQTT")
    problems = [each.problem for each in facts if each.problem]
    if problems:
        return Finding("channels", FAILED, "; ".join(problems))
    said = "; ".join(f"{each.name}: {each.said}" for each in facts)
    return Finding("channels", OK, said)


def http(facts: HttpFacts) -> Finding:
    """What the daemon says of itself at its HTTP port."""
    if not facts.enabled:
        return Finding("http", SKIPPED, "off (http.enabled)")
    if not facts.running:
        return Finding("http", SKIPPED, "no daemon runs on this state folder")
    if not facts.noted.startswith("http://"):
        said = facts.noted or "the daemon has noted no address yet"
        return Finding(
            "http", FAILED if facts.noted else WARNING, said, "free the port, or see http.host, http.port"
        )
    if facts.problem:
        return Finding("http", FAILED, f"{facts.noted}/readyz: {facts.problem}", "see the daemon's log")
    said = f"{facts.noted}/readyz says {facts.status}"
    if facts.reasons:
        said += f": {'; '.join(facts.reasons)}"
    return Finding("http", OK if facts.status == "ready" else WARNING, said)


def limits(broker: BrokerFacts) -> Finding:
    """What the broker's own bounds cost, as far as a client can see it."""
    window = "max_inflight_messages cannot be seen"
    if broker.receive_maximum is not None:
        window = f"max_inflight_messages {broker.receive_maximum}"
    unseen = f"{window}; max_queued_messages cannot be seen by a client"
    if not broker.dropped and broker.is_mosquitto:
        # It publishes the count only once there is one, and its version to whoever may read $SYS.
        return Finding("limits", OK, f"the broker tells of no dropped message; {unseen}")
    if not broker.dropped:
        said = f"the broker does not tell what it drops ($SYS/broker/publish/messages/dropped); {unseen}"
        remedy = "let mqtt.username read $SYS/#, and see that it queues enough while the daemon is away"
        return Finding("limits", SKIPPED, said, remedy)
    first, last = broker.dropped[0], broker.dropped[-1]
    remedy = "raise max_queued_messages in mosquitto.conf (1000 by default; 0 = no limit)"
    if last > first:
        said = (
            f"the broker drops messages: {last - first} more in {broker.waited_s:.0f} s, {last} in all; {unseen}"
        )
        return Finding("limits", FAILED, said, f"{remedy}, or find the client that does not keep up")
    if last:
        said = f"the broker has dropped {_count(last, 'message')} since it started, none while we looked; {unseen}"
        return Finding("limits", WARNING, said, f"if it was for this daemon, {remedy}")
    return Finding("limits", OK, f"the broker has dropped nothing since it started; {unseen}")


def clock(line: LineFacts) -> Finding:
    """Whether the messages' times and this host's clock agree."""
    known = [each for each in line.streams if each.skew_ms is not None]
    if not known:
        return Finding("clock", SKIPPED, "no message with a time of its own was seen")
    ahead = [each for each in known if _skew(each) > line.max_ahead_ms]
    behind = [each for each in known if _skew(each) < -BEHIND_MS]
    worst = max(known, key=lambda each: abs(_skew(each)))
    if ahead:
        said = (
            f"the times of {_some([each.stream for each in ahead])} lie {_ahead(ahead)} ahead of this host's clock"
        )
        if len(ahead) > 1 and 2 * len(ahead) > len(known):
            return Finding("clock", FAILED, said, "synchronise this host's clock (NTP): most are ahead of it")
        remedy = 'synchronise the publisher\'s clock (NTP), or set classes.time = "arrival"; what is further ahead'
        return Finding("clock", FAILED, said, f"{remedy} than align.max_ahead_ms is quarantined")
    if behind:
        furthest = -min(_skew(each) for each in behind) / 1000
        said = (
            f"the times of {_some([each.stream for each in behind])} lie {furthest:.0f} s behind this host's clock"
        )
        remedy = "synchronise the publisher's clock (NTP); it may also be a buffer that is being emptied"
        return Finding("clock", WARNING, said, remedy)
    return Finding("clock", OK, f"at most {abs(_skew(worst)) / 1000:.1f} s from this host's ({worst.stream})")


def _skew(each: StreamTimes) -> float:
    return each.skew_ms or 0.0


def _ahead(streams: Sequence[StreamTimes]) -> str:
    return f"up to {max(_skew(each) for each in streams) / 1000:.0f} s"


def _some(names: Sequence[str]) -> str:
    """The first few."""
    more = len(names) - TOLD
    return ", ".join(names[:TOLD]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    """Bytes as people read them.

    >>> _size(20 << 30), _size(3_500_000)
    ('20.0 GiB', '3.3 MiB')
    """
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
