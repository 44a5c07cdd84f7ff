"""Fixtures that every test may use: the real servers."""

pytest_plugins = ["tests.servers.brokers", "tests.servers.influxd", "tests.trained"]
