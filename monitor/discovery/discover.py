"""Captured messages -> findings. Pure: no clock, no socket, no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.discovery import classes, groups, sparkplug
from monitor.discovery.findings import Aside, ClassFinding, Findings, Question
from monitor.discovery.streams import place
from monitor.discovery.view import View, is_status, look, meta_units

if TYPE_CHECKING:
    from monitor.discovery.capture import Capture, Captured
    from monitor.discovery.groups import Overlap
    from monitor.discovery.sparkplug import Decode

LOOKED_AT = 100_000  # messages altogether, and of each topic at least
AT_LEAST = 20
CLASSES = 50


def discover(capture: Capture, overlap: Overlap, decode_sparkplug: Decode | None = None) -> Findings:
    """What the captured messages say; `overlap` tells whether two globs can take the same asset.

    `decode_sparkplug` decodes the payloads of a Sparkplug topic; without it these topics are told and left aside.
    """
    share = max(AT_LEAST, LOOKED_AT // max(len(capture.topics), 1))
    units: dict[str, str] = {}
    views: list[View] = []
    descriptions = statuses = 0
    plugs: dict[str, list[Captured]] = {}
    for topic, kept in capture.topics.items():
        messages = list(kept)[-share:]
        if topic.startswith(f"{sparkplug.NAMESPACE}/"):
            plugs[topic] = messages
            continue
        described = meta_units(messages[-1]) if topic.endswith("/meta") else None
        if described is not None:
            units |= described
            descriptions += 1
        elif topic.endswith("/status") and all(is_status(message) for message in messages):
            statuses += 1
        elif set(topic) & set("{}+#\0"):
            views.append(View(topic, len(messages), asides=[Aside(topic, "a brace or wildcard in it")]))
        else:
            views.append(look(topic, messages))
    views += sparkplug.views(plugs, decode_sparkplug)
    placed = place(views)
    grouped = groups.group(placed.streams)
    grouped.sort(key=lambda each: -len(each.streams))
    asides = [aside for view in views for aside in view.asides] + placed.asides
    if len(grouped) > CLASSES:
        asides += [
            Aside(stream.key, f"one of the kinds beyond the first {CLASSES}")
            for each in grouped[CLASSES:]
            for stream in each.streams
        ]
        grouped = grouped[:CLASSES]
    questions = [question for view in views for question in view.questions] + placed.questions
    found = []
    for each, chosen in zip(grouped, groups.globs(grouped, overlap), strict=True):
        finding, asked = classes.describe(each, chosen, units)
        if any(sensor.kept for sensor in finding.sensors):
            found.append(finding)
            questions += asked
        else:
            told = ", ".join(sensor.published for sensor in finding.sensors[:3])
            asides.append(Aside(told, "counters and labels only", len(finding.sensors)))
    questions += _about_classes(found)
    if any(view.mapping and view.mapping.payload == "sparkplug" and not view.series for view in views):
        questions.append(
            Question(
                "Sparkplug B was heard, but not the births that name its sensors: nodes send them when they "
                "connect, or when they are asked. Shall `init` ask them?",
                "--rebirth",
            )
        )
        asides.append(Aside("spBv1.0/#", "Sparkplug B, of which no birth could be read"))
    if descriptions:
        asides.append(Aside("…/meta", "Enginewatch's own descriptions; their units were taken", descriptions))
    if statuses:
        asides.append(Aside("…/status", "Enginewatch's own statuses", statuses))
    if capture.ours:
        asides.append(Aside("our own and $SYS", "messages of Enginewatch and the broker", capture.ours))
    old = [
        topic
        for topic, kept in capture.topics.items()
        if all(each.retained for each in kept) and not topic.endswith(("/meta", "/status"))
    ]
    if old:
        questions.append(
            Question(
                f"only a retained (old) message was heard on {_several_topics(old)}: does it still report? Listen "
                "longer to find out",
                "--listen",
            )
        )
    return Findings(
        classes=tuple(found),
        asides=tuple(_together(asides)),
        questions=tuple(_each_once(questions)),
        messages=capture.messages,
        topics=len(capture.topics),
        retained=capture.retained,
        span_ms=(capture.last or 0) - (capture.first or 0),
        left_out=tuple(capture.left_out()),
    )


def _about_classes(found: list[ClassFinding]) -> list[Question]:
    """Classes that share most of their sensors might be one."""
    asked = []
    for index, one in enumerate(found):
        for other in found[index + 1 :]:
            names, others = ({sensor.name for sensor in each.sensors} for each in (one, other))
            if len(names & others) >= len(names | others) / 2:
                asked.append(
                    Question(
                        f"{one.name} and {other.name} share {len(names & others)} of {len(names | others)} "
                        "sensors: two classes or one?",
                        "[[classes]]",
                    )
                )
    return asked


def _together(asides: list[Aside]) -> list[Aside]:
    """What is left aside for one reason is told together."""
    reasons: dict[str, list[Aside]] = {}
    for aside in asides:
        reasons.setdefault(aside.reason, []).append(aside)
    return [
        each[0] if len(each) == 1 else Aside(_several(each), reason, sum(aside.count for aside in each))
        for reason, each in reasons.items()
    ]


def _several(asides: list[Aside]) -> str:
    names = list(dict.fromkeys(aside.what for aside in asides))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004 - shown


def _several_topics(topics: list[str]) -> str:
    return topics[0] + (f" and {len(topics) - 1} more topics" if len(topics) > 1 else "")


def _each_once(questions: list[Question]) -> list[Question]:
    """Questions without repeats, in order."""
    return list(dict.fromkeys(questions))
