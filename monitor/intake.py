"""From the receiver into the journal, and only then the acknowledgement.

It also journals whether anything can be heard: while the broker is away, reading is paused or the disk is full,
silence is nobody's fault. Nor is it where this machine slept or its clock was set, which is seen by comparing the
wall clock with the steady one.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from monitor.journal import JournalError
from monitor.records import Batch, Change, Clock
from monitor.stages import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.journal import Journal
    from monitor.receive import Receiver
    from monitor.records import Command, Message, Payload

log = structlog.get_logger()

MESSAGES_AT_ONCE = 2_000  # in a record: the core's batches stay of a size
CLOCK_S = 1.0
RETRY_S = 1.0  # pause before a full disk is tried again
RECORDS_AHEAD = 1  # of the line, beside the one that it is at; beyond that what arrives is gathered
GATHER_S = 0.05  # for so long at the most
LOOKS_S = 0.001
JUMP_S = 5.0  # that the wall clock may gain or lose, or the thread stand still, until silence counts anew


class Intake:
    """The thread between receiver and journal: commit as soon as the last commit returned, then acknowledge.

    Where the line is behind, what arrives is gathered for a moment first: a record costs the line the same time
    whether few messages are in it or some more, and at a commit each it would never catch up.
    """

    def __init__(
        self,
        *,
        receiver: Receiver,
        journal: Journal,
        command_topic: str,
        read_command: Callable[[Message], Command | None],
        backlog: Callable[[], int],
        backlog_limit: int,
        appended: Callable[[], None],
        taken: Callable[[], int],
    ) -> None:
        """Wire the rooms.

        `read_command` checks what came on the command topic; `backlog` tells the bytes that the line has not taken
        yet, over whose limit reading pauses, `taken` the position that it has come to; `appended` is called after
        each commit.
        """
        self._receiver = receiver
        self._journal = journal
        self._command_topic = command_topic.encode()
        self._read_command = read_command
        self._backlog = backlog
        self._backlog_limit = backlog_limit
        self._appended = appended
        self._taken = taken
        self._last = 0  # the position of the latest record
        self._stop = threading.Event()
        self.paused = False  # nothing is received, so that the line catches up
        self._connected = False
        self._journalled: bool | None = False  # what the journal says of it; None = say it again
        self._clocks = time.monotonic(), time.time()  # at the last look
        self.full = False  # the disk is: nothing is acknowledged
        self.pulse = Pulse()

    def run(self) -> None:
        """Work until `stop`. Raises JournalError where the disk fails: nothing may be acknowledged any more."""
        last = time.monotonic()
        while not self._stop.is_set():
            self.pulse.turn()
            self._gather()
            delivery = self._receiver.take(CLOCK_S)
            payloads = self._payloads(delivery.messages)
            if time.monotonic() - last >= CLOCK_S:
                last = time.monotonic()
                self._hold_back()
                payloads = payloads or [Clock()]
            if self._append(payloads):
                self._receiver.acknowledge(delivery.tokens)

    def connected(self, connected: bool) -> None:
        """The broker can be heard, or no longer; for any thread, journalled within a second."""
        self._connected = connected

    def stop(self) -> None:
        """Let `run` come to its end. What was not acknowledged the broker keeps."""
        self._stop.set()
        self._receiver.release()

    def _gather(self) -> None:
        """Let more messages arrive while the line is behind."""
        end = time.monotonic() + GATHER_S
        while self._last > self._taken() + RECORDS_AHEAD and time.monotonic() < end:
            if self._stop.wait(LOOKS_S):
                return

    def _payloads(self, messages: list[Message]) -> list[Payload]:
        """The messages as records, in their order; commands are records of their own."""
        payloads: list[Payload] = []
        run: list[Message] = []  # between two commands
        start = 0
        for place, message in enumerate(messages):
            if message.topic == self._command_topic:
                run += messages[start:place]
                start = place + 1
                command = self._read_command(message)
                if command is not None:
                    payloads += [*_batches(run), command]
                    run = []
        return [*payloads, *_batches(run + messages[start:])]

    def _append(self, payloads: list[Payload]) -> bool:
        """Write, waiting as long as the disk is full; False where it still is when the daemon stops."""
        while True:
            now = self._compare_clocks()
            hears = self._connected and not self.paused
            change = [] if hears == self._journalled else [Change(listening=hears)]
            if not change and not payloads:
                return True
            try:
                self._last = self._journal.append([*change, *payloads], now)
            except JournalError as error:
                if not error.full:
                    raise
                if not self.full:
                    log.error(
                        "disk_full", reason=str(error), remedy="make room: nothing is acknowledged meanwhile"
                    )
                self.full = True
                self._journalled = None  # silence counts anew from when there is room
                self.pulse.turn()
                if self._stop.wait(RETRY_S):
                    return False
            else:
                if self.full:
                    log.info("disk_has_room")
                self.full = False
                self._journalled = hears
                self._appended()
                return True

    def _compare_clocks(self) -> int:
        """Let silence count anew where time went on without us: nobody was heard in it, whoever spoke.

        Returns the time to write down (epoch ms).
        """
        before, self._clocks = self._clocks, (time.monotonic(), time.time())
        stood = self._clocks[0] - before[0]
        jump = self._clocks[1] - before[1] - stood
        if abs(jump) > JUMP_S:
            remedy = "nothing, if this machine slept; else synchronise its clock"
            log.warning("clock_jumped", seconds=round(jump), remedy=remedy)
        elif stood > JUMP_S:
            log.warning(
                "stood_still",
                seconds=round(stood),
                remedy="nothing, if the process was stopped; else see what keeps the disk or the processor",
            )
        if abs(jump) > JUMP_S or stood > JUMP_S:
            self._journalled = None
        return int(self._clocks[1] * 1000)

    def _hold_back(self) -> None:
        """Stop reading from the broker while the line is too far behind, so that the disk does not fill."""
        behind = self._backlog() > self._backlog_limit
        if behind != self.paused:
            self.paused = behind
            self._receiver.pause(behind)
            if behind:
                remedy = "the line is behind by store.journal_max_bytes: wait, or give it more of the machine"
                log.warning("receiving_paused", limit_bytes=self._backlog_limit, remedy=remedy)
            else:
                log.info("receiving_resumed", limit_bytes=self._backlog_limit)


def _batches(messages: list[Message]) -> list[Batch]:
    """As few records as may be."""
    firsts = range(0, len(messages), MESSAGES_AT_ONCE)
    return [Batch(messages[first : first + MESSAGES_AT_ONCE]) for first in firsts]
