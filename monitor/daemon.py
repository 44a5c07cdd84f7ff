"""The daemon: wires the rooms, starts outputs first and inputs last, and stops in order."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from config.secret import secret
from monitor.assemble import beside_filters, topic_filters
from monitor.canary import canary_of
from monitor.channels.all import Channels
from monitor.deadline import Deadline
from monitor.door import REPLY_S, CommandError, Door
from monitor.influx import InfluxSink
from monitor.intake import Intake
from monitor.journal import Journal, JournalError
from monitor.line import Line
from monitor.mend import mend
from monitor.notify import Notifier
from monitor.promotion import Promotion
from monitor.questions import Questions
from monitor.receive import Receiver
from monitor.records import Change
from monitor.remote import Remote
from monitor.schema import StoreError
from monitor.shelf import Shelf
from monitor.showing import Showing
from monitor.stages import Stage, Stages, Worker
from monitor.store import Store
from monitor.synthetic import is_synthetic
from monitor.upkeep import Upkeep
from monitor.vitals import Gatherer
from monitor.watch import Facts, Watch
from monitor.web.asked import asked_of
from monitor.web.server import HttpPort

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route

    from config.classes import ResolvedClass
    from config.settings import Settings
    from monitor.records import Command, StepResult
    from monitor.spec import LineSpec
    from monitor.systemd import ServiceManager

log = structlog.get_logger()

WATCH_S = 0.5  # how often the threads are looked at
DRAIN_S = 5.0  # how long the sinks may go on sending when the daemon stops
FAILED_DRAIN_S = 0.2  # the same where it failed: whoever starts it again must not wait


class Daemon:
    """One daemon and its state folder, which whoever makes it holds."""

    def __init__(
        self,
        settings: Settings,
        classes: Sequence[ResolvedClass],
        manager: ServiceManager,
        *,
        on_started: Callable[[], None],
    ) -> None:
        """Take settings and classes that were checked. `on_started` is called once everything is up."""
        self._settings = settings
        self._classes = classes
        self._manager = manager
        self._on_started = on_started
        self._stop = threading.Event()
        self._deadline = Deadline(settings.daemon.stop_within_s)
        self.started = False
        self._failure: Exception | None = None
        self._heard = False
        self._broker = f"no answer yet from {settings.mqtt.host}:{settings.mqtt.port}"  # empty while it is heard
        folder = settings.daemon.state_dir
        self._client_id = settings.mqtt.client_id or f"enginewatch-{settings.daemon.id}"
        self._own_topic = f"{settings.mqtt.root}/_monitor/{settings.daemon.id}"

        mend(folder)
        with ExitStack() as opened:  # what cannot start leaves nothing open for who goes on with other settings
            self._journal = opened.enter_context(closing(Journal(folder / "journal.db")))
            store = Store(folder / "store.db", dead_letters=settings.store.dead_letters)
            self._store = opened.enter_context(closing(store))
            self._make_rooms()
            opened.pop_all()

    def _make_rooms(self) -> None:
        settings, folder = self._settings, self._settings.daemon.state_dir
        score = settings.score
        self._shelf = Shelf(folder / "models", threads=score.threads, batch_size=score.batch_size)
        self._line = Line(
            journal=self._journal,
            store=self._store,
            shelf=self._shelf,
            folder=folder,
            checkpoint_s=settings.store.checkpoint_s,
        )
        token = secret(settings.influx.token, settings.influx.token_file)
        self._influx = InfluxSink(
            settings.influx, self._store, token, health=lambda: self._vitals.lines(settings.daemon.id)
        )
        self._notifier = Notifier(settings.notify, settings.mqtt, self._client_id, self._store)
        self._channels = Channels(
            settings,
            self._store,
            self._line,
            client_id=self._client_id,
            own_topic=self._own_topic,
            look=self._fleet,
        )
        self._remote = Remote(settings.commands, self._store, self._own_topic, self._notifier.reply)
        self._promotion = Promotion(settings, self._classes, self._shelf, self._take_line)
        questions = Questions(self._line, self._journal, self._store)
        self._door = Door(
            folder,
            submit=self._submit,
            store=self._store,
            models=self._promotion.answer,
            questions={**questions.by_name(), "standing": lambda _: self._vitals.standing()},
        )
        self._canary = canary_of(settings, self._classes, self._client_id, self._store, away=lambda: self._broker)
        self._upkeep = Upkeep(settings, self._store, folder, backlog=self._backlog)
        self._workers: dict[str, Worker] = {}
        self._vitals = Gatherer(
            journal=self._journal,
            store=self._store,
            line=self._line,
            influx=self._influx,
            notifier=self._notifier,
            channels=self._channels,
            broker=lambda: self._broker,
            http=lambda: self._http.trouble,
            unmodelled=self._unmodelled,
            canary=self._canary.report if self._canary is not None else None,
        )
        self._showing = Showing(
            settings,
            client_id=self._client_id,
            store=self._store,
            line=self._line,
            shelf=self._shelf,
            questions=questions,
            promotion=self._promotion,
            upkeep=self._upkeep,
            vitals=self._vitals,
            canary=self._canary,
        )
        self._http = HttpPort(
            settings.http,
            secret(settings.http.token, settings.http.token_file),
            asked_of(self._vitals.vitals, self._vitals.figures, self._door.command, self._page),
            told=lambda said: self._note({"http": said}),
        )

    def _fleet(self) -> list[dict[str, Any]] | None:
        return self._showing.fleet()

    def _page(self) -> Sequence[Route]:
        return self._showing.routes(lambda: self._http.address)

    def run(self, another: Callable[[], bool]) -> int | None:
        """Run until `stop`, or until `another` daemon shall follow, which is asked twice a second.

        Returns the exit code, None where another follows. Raises MqttError, ArtifactError, JournalError,
        StoreError and OSError where it cannot start.
        """
        follows = False
        try:
            if self._settings.http.enabled:  # before recovering, which may take long
                self._run("http", self._http.run)
            self._recover()
            if not self._stop.is_set():
                self._start()
                follows = self._supervise(another)
        finally:
            self._shut_down(follows)
        if self._failure is not None:
            return 1
        return None if follows and not self._stop.is_set() else 0

    def stop(self) -> None:
        """End in order, within daemon.stop_within_s; for any thread."""
        self._deadline.begin()
        self._stop.set()
        if not self.started:  # still recovering: the line must not wait for a store that cannot be written
            self._line.stop()

    def _recover(self) -> None:
        """Bring the line to where it was, then tell it what it works with from now on."""
        self._promotion.start()
        spec = self._promotion.spec()
        self._line.on_replaying = self._replaying
        self._line.recover(spec)
        self._line.on_replaying = lambda: None
        if self._stop.is_set():  # perhaps in the middle of the journal; the next start goes on
            return
        changed = self._line.state.spec.encode() != spec.encode()
        # Until the broker answers, silence is nobody's fault.
        self._append(Change(listening=False, line=spec.encode() if changed else None))
        while self._line.advance():
            pass
        self._line.note()
        needed = self._line.needed_models()
        if needed is not None:
            self._shelf.clear_but(needed | self._promotion.needed())
        self._note({"line": spec.encode().decode()})  # for those who train on what the store holds

    def _replaying(self) -> None:
        self._manager.extend(f"replaying the journal: record {self._line.position} of {self._journal.last()}")

    def _start(self) -> None:
        self._line.on_written = self._wake_sinks
        self._line.on_reply = self._answer
        self._influx.start()
        self._notifier.start()
        self._run("line", self._line.run)
        self._channels.start()
        self._door.start()
        facts = self._store.facts()
        self._receiver = Receiver(
            settings=self._settings.mqtt,
            client_id=self._client_id,
            subscriptions=self._subscriptions(),
            given_up=sorted(set(json.loads(facts.get("subscriptions", "[]"))) - set(self._subscriptions())),
            status_topic=f"{self._own_topic}/status",
            expect_session=facts.get("session") == self._client_id,
            on_listening=self._listening,
            on_session_lost=self._session_lost,
        )
        self._intake = Intake(
            receiver=self._receiver,
            journal=self._journal,
            command_topic=self._remote.topic,
            read_command=self._remote.read,
            backlog=self._backlog,
            backlog_limit=self._settings.store.journal_max_bytes,
            appended=self._line.wake,
            taken=lambda: self._line.position,
        )
        self._receiver.start()
        self._run("intake", self._intake.run)
        if self._canary is not None:
            self._canary.start()
        self.started = True
        self._vitals.started(self._receiver, self._intake)
        names = [each.name for each in self._classes]
        log.info("started", id=self._settings.daemon.id, classes=names, mqtt_commands=self._remote.way)
        self._on_started()

    def _stages(self) -> list[Stage]:
        """Everything that has to go on turning."""
        made = [
            Stage("line", self._workers["line"], self._line.pulse),
            Stage("intake", self._workers["intake"], self._intake.pulse),
            Stage("door", self._door.thread, self._door.pulse),
            Stage("receiver", self._receiver.thread, self._receiver.pulse),
            Stage("notifier", self._notifier.thread, self._notifier.pulse),
            *self._channels.stages(),
        ]
        if self._settings.influx.url:
            made.append(Stage("influx", self._influx.thread, self._influx.pulse))
        if self._settings.http.enabled:
            made.append(Stage("http", self._workers["http"], self._http.pulse))
        return made

    def _supervise(self, another: Callable[[], bool]) -> bool:
        """Wait for the end; a thread that fails brings it about. Meanwhile say where it stopped.

        Returns whether another daemon follows.
        """
        patience = self._settings.daemon.stuck_after_s
        stages = Stages(self._stages(), patience_s=patience, now=time.monotonic())
        self._vitals.stages = stages
        pause = min(WATCH_S, self._manager.watchdog_s / 4 or WATCH_S)
        slowest = max(each.period_ms * self._settings.window.stride + each.lateness_ms for each in self._classes)
        watch = Watch(time.monotonic(), self._facts(), slowest_row_s=slowest / 1000)
        while not self._stop.wait(pause):
            self._vitals.turn()
            if (dead := stages.dead()) is not None:
                self._fail(*dead)
                return False
            if self._journal.damaged or self._store.damaged:  # whichever thread came upon it
                self._fail("store", StoreError(self._journal.damaged or self._store.damaged))
            for name, seconds in stages.look(time.monotonic()).items():
                log.error("stage_stuck", stage=name, for_s=round(seconds), remedy="restart the daemon")
            if stages.works:
                self._manager.ping()
            self._look(watch)
            self._upkeep.turn(time.monotonic())
            if another():
                return True
        return False

    def _look(self, watch: Watch) -> None:
        """Tell and note whether anything is scored, or where it stopped."""
        before, facts = watch.sentence, self._facts()
        tell = watch.look(time.monotonic(), facts)
        status = watch.sentence or f"scoring, {facts.streams} streams"
        self._manager.status(f"{status}; {self._http.trouble}" if self._http.trouble else status)
        if watch.sentence != before:
            self._note({"not_scoring": watch.sentence, "not_scoring_at": str(int(time.time() * 1000))})
        if tell and not watch.sentence:
            log.info("scoring", streams=facts.streams, after_s=round(watch.seconds, 1))
        elif tell:
            say = log.info if watch.passes else log.warning
            say("not_scoring", where=watch.sentence, for_s=round(watch.seconds))

    def _facts(self) -> Facts:
        """What the rooms know at this moment."""
        others = [each for each in self._classes if not is_synthetic(each.name)]
        facts = Facts.of_books(
            self._line.books,
            broker=self._broker,
            topics=tuple(topic_filters(self._settings, others)),
            disk_full=self._intake.full,
            messages=self._receiver.counters.received,
            behind=self._journal.last() - self._line.position,
            unmodelled=self._unmodelled(),
        )
        return facts if self._canary is None else replace(facts, values=self._canary.apart(facts.values))

    def _unmodelled(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._promotion.classes if each.model is None)

    def _shut_down(self, follows: bool) -> None:
        """Inputs first, outputs last, so that what came in still goes out; each has its share of the time."""
        self._deadline.begin()
        share = self._deadline.share
        log.info("stopping")
        self._vitals.stopping()
        if not follows:
            self._manager.stopping()
        if self._canary is not None:
            self._canary.stop()
        if hasattr(self, "_intake"):
            self._intake.stop()
            self._join("intake", share(0.5))
            self._receiver.stop(share(0.4))  # the last acknowledgements leave with it
        self._door.stop()
        self._http.stop()  # it needs a moment, which the others take anyway
        self._showing.stop(share(0.2))
        self._line.stop(share(0.5))
        self._join("line", share(0.9))
        self._influx.stop(min(DRAIN_S, share(0.6)) if self._failure is None else FAILED_DRAIN_S)
        self._notifier.stop(share(0.8))
        self._channels.stop(share(0.8))
        self._join("http", share(0.9))
        hung = [name for name, worker in self._workers.items() if worker.is_alive()]
        if hung:  # they have the databases in hand; the process ends without them
            self._deadline.tell(hung)
            self._failure = self._failure or TimeoutError("not all threads have ended")
            return
        self._journal.close()
        self._store.close()
        log.info("stopped")
        self._deadline.cancel()  # perhaps another follows, also where this one could not start

    def _run(self, name: str, body: Callable[[], None]) -> None:
        """Start a thread whose failure ends the daemon."""
        self._workers[name] = Worker(name, body)
        self._workers[name].start()

    def _join(self, name: str, seconds: float) -> None:
        if name in self._workers:
            self._workers[name].join(seconds)

    def _fail(self, name: str, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
            told = isinstance(error, JournalError | StoreError)  # the sentence says all
            remedy = "start it again, where no service manager does; what it had acknowledged is kept"
            traceback = None if told else error
            log.error("thread_failed", thread=name, reason=str(error), remedy=remedy, exc_info=traceback)
        self._stop.set()

    def _backlog(self) -> int:
        """Bytes in the journal that the line has not taken yet."""
        return self._journal.bytes_after(self._line.position)

    def _submit(self, command: Command) -> None:
        """Journal a command that came by the socket. Raises CommandError where it could not be kept."""
        try:
            self._append(command)
        except JournalError as error:
            raise CommandError(f"not carried out: {error}") from error

    def _take_line(self, spec: LineSpec) -> bool:
        """Let the line go on by another description; whether it has done so before patience ran out.

        Raises ValueError where the change could not be kept.
        """
        try:
            position = self._append(Change(line=spec.encode()))
        except JournalError as error:
            raise ValueError(f"not carried out: {error}") from error
        self._note({"line": spec.encode().decode()})
        end = time.monotonic() + REPLY_S
        while self._line.position < position and time.monotonic() < end:
            time.sleep(WATCH_S / 10)
        return self._line.position >= position

    def _append(self, payload: Change | Command) -> int:
        position = self._journal.append([payload], int(time.time() * 1000))
        self._line.wake()
        return position

    def _wake_sinks(self, result: StepResult) -> None:
        if result.scores or result.events:
            self._influx.wake()
        if result.events:
            self._notifier.wake()
            self._channels.wake()
            if self._canary is not None:
                self._canary.wake()
        for topic, payload in result.requests:
            log.info("rebirth_requested", topic=topic)
            self._notifier.reply(topic, payload)

    def _listening(self, listening: bool, reason: str) -> None:
        """The broker can be heard, or no longer; silence counts only while it can."""
        self._intake.connected(listening)
        heard, self._heard = self._heard, listening
        self._broker = "" if listening else reason
        self._note({"broker": "connected" if listening else reason})
        if listening:
            self._note({"session": self._client_id, "subscriptions": json.dumps(self._subscriptions())})
        if listening and not heard:  # last, so that whoever reads it finds the rest as it says
            log.info("listening", subscriptions=self._subscriptions())

    def _note(self, facts: dict[str, str]) -> None:
        """Keep facts for those who look from outside, if the store can."""
        try:
            self._store.note(facts)
        except StoreError as error:
            log.warning("not_noted", facts=facts, reason=str(error))

    def _session_lost(self) -> None:
        log.error(
            "session_lost",
            remedy="what was published while the daemon was away may be missing:"
            " let the broker persist sessions, and nobody else use this client id",
            client_id=self._client_id,
        )

    def _subscriptions(self) -> list[str]:
        """Telemetry, the status beside it, and our own commands."""
        topics = topic_filters(self._settings, self._classes)
        beside = beside_filters(self._settings, self._classes)
        return [*dict.fromkeys([*topics, *beside]), self._remote.topic]

    def _answer(self, command_id: str, done: bool, text: str) -> None:
        """Pass on what the line did: to the socket if it waits there, else over MQTT."""
        if not self._door.reply(command_id, done, text):
            self._remote.reply(command_id, done, text)
