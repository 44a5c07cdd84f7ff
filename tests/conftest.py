"""What holds for every test: how examples are looked for, the same noise in any order, the real servers."""

import signal

from hypothesis import HealthCheck, settings

from tests import discovered

pytest_plugins = ["tests.servers.brokers", "tests.servers.influxd", "tests.servers.spark", "tests.trained"]

# Seconds prove nothing on a machine that does other things, too.
settings.register_profile("enginewatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("enginewatch")

# A shell lets what it starts in the background ignore Ctrl-C; the commands under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup() -> None:
    """The noise of made-up captures is the same whatever ran before."""
    discovered.CHANCE.seed(7)
