"""What clients of Kafka are made with, as the settings have it. Imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.secret import secret

if TYPE_CHECKING:
    from config.fleet import FleetSettings


def client_options(settings: FleetSettings) -> dict[str, str]:
    """What every client of Kafka is made with. Raises OSError where the password's file is gone."""
    options = dict(each.split("=", 1) for each in settings.options)
    password = secret(settings.password, settings.password_file)
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": "enginewatch",
        "log_level": "2",  # it would tell of every reconnection
        **options,
        **({} if password is None else {"sasl.password": password}),
    }
