"""SIGTERM ends the daemon within daemon.stop_within_s, whatever hangs; nothing that was taken in is lost by it."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.size import FULL, tries
from tests.faults.test_threads import HUNG, publish
from tests.rig import Daemon, plain_settings, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

WITHIN_S = tries(6, 2)  # a machine that does other things too may need more than 2 s to end in order
PATIENCE_S = tries(30, WITHIN_S + 1)


def stopping(folder: Path, broker: Mosquitto, url: str = "", names: str = "") -> Daemon:
    """A daemon that sends to this InfluxDB, threads of which hang from SIGUSR2 on."""
    text = plain_settings(broker, folder, extra=f"[daemon]\nstop_within_s = {WITHIN_S}")
    text += f'[influx]\nurl = "{url}"\ntimeout_s = 30\n'
    return Daemon(folder, text, command=HUNG, ENGINEWATCH_TEST_THREADS=names)


def test_peers_that_never_answer_hold_up_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """An InfluxDB that takes connections and is silent, a broker that is frozen: it has ended in order, with 0."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        daemon = stopping(tmp_path, mosquitto, f"http://127.0.0.1:{silent.getsockname()[1]}")
        try:
            daemon.start()
            publish(mosquitto, 0)
            until(lambda: daemon.accounted() == 2)
            silent.accept()
            assert mosquitto._process is not None
            mosquitto._process.send_signal(signal.SIGSTOP)
            daemon.tell(signal.SIGTERM)
            assert daemon.process is not None
            assert daemon.process.wait(PATIENCE_S) == 0, daemon.log.read_text()
            mosquitto._process.send_signal(signal.SIGCONT)
            assert [bool(daemon.logged(event)) for event in ("stopped", "stop_forced")] == [True, False]
            daemon.start()  # and the next one goes on from a checkpoint that has everything
            assert daemon.logged("recovered")[-1]["replayed"] == 0
            assert daemon.accounted() == 2
        finally:
            daemon.close()


@pytest.mark.parametrize("thread", ["line", "MainThread"] if FULL else ["line"])
def test_a_daemon_that_hangs_itself_ends_with_1(tmp_path: Path, mosquitto: Mosquitto, thread: str) -> None:
    """By then at the latest; what it had acknowledged is there at the next start."""
    daemon = stopping(tmp_path, mosquitto, names=thread)
    try:
        daemon.start()
        daemon.tell(signal.SIGUSR2)
        time.sleep(1)
        publish(mosquitto, 0)
        daemon.tell(signal.SIGTERM)
        assert daemon.process is not None
        assert daemon.process.wait(PATIENCE_S) == 1, daemon.log.read_text()
        (told,) = daemon.logged("stop_forced")
        assert thread in told["threads"]
    finally:
        daemon.close()
    after = stopping(tmp_path, mosquitto)
    try:
        after.start()
        until(lambda: after.accounted() == 2)
        after.stop()
    finally:
        after.close()


def test_ctrl_c_twice_ends_it_at_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Also where the first one waits for a thread that hangs."""
    daemon = stopping(tmp_path, mosquitto, names="line")
    try:
        daemon.start()
        daemon.tell(signal.SIGUSR2)
        time.sleep(1)
        daemon.tell(signal.SIGINT)
        until(lambda: daemon.logged("stopping"))
        daemon.tell(signal.SIGINT)
        assert daemon.process is not None
        assert daemon.process.wait(PATIENCE_S) == 130
        assert daemon.logged("stopped_at_once")
    finally:
        daemon.close()
