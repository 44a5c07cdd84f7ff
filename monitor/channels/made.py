"""The channels of the settings, ready to start."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from config.notify import wrong_address, wrong_token
from config.secret import secret
from monitor.channels import quiet
from monitor.channels.alertmanager import Alertmanager, AlertmanagerWay
from monitor.channels.http import HttpClient
from monitor.channels.people import People
from monitor.channels.rules import Plant, Rules
from monitor.channels.sink import Teller
from monitor.channels.sites import site_of
from monitor.channels.unusable import Unusable
from monitor.channels.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.notify import ChannelSettings, NotifySettings
    from monitor.channels.sink import Channel, Ledger
    from monitor.channels.way import Way
    from monitor.state import LineState


def made(settings: NotifySettings, page: str, ledger: Ledger, plant: Callable[[], Plant]) -> list[Channel]:
    """All of them. `page` is the address of the page where the settings give none."""
    return [_channel(settings, each, settings.page_url or page, ledger, plant) for each in settings.channels]


def _channel(
    settings: NotifySettings, own: ChannelSettings, page: str, ledger: Ledger, plant: Callable[[], Plant]
) -> Channel:
    made_way = way(own, page)
    if isinstance(made_way, AlertmanagerWay):
        return Alertmanager(
            own.name,
            made_way,
            ledger,
            rules=rules(settings, own),
            plant=plant,
            page=page,
            resend_s=settings.resend_s,
            retry_max_s=settings.retry_max_s,
            timeout_s=own.timeout_s,
        )
    return Teller(
        own.name,
        made_way,
        ledger,
        rules=rules(settings, own),
        plant=plant,
        retry_max_s=settings.retry_max_s,
        timeout_s=own.timeout_s,
    )


def way(own: ChannelSettings, page: str) -> Way | AlertmanagerWay:
    """The way of one channel. Its secrets are read; what is wrong with them is told by whoever uses it."""
    section = f"channel {own.name}"
    try:
        url = secret(own.url, own.url_file) or ""
        token = secret(own.token, own.token_file)
    except (OSError, UnicodeDecodeError) as error:
        return Unusable(f"{section}: its url_file or token_file cannot be read ({type(error).__name__})")
    if wrong := wrong_address(own.to, url):
        return Unusable(f"{section}: its url {wrong}")
    if token is not None and (wrong := wrong_token(token)):
        return Unusable(f"{section}: its token {wrong}")
    if own.to == "people":
        return People(section, url, own.name, page, own.timeout_s)
    client = HttpClient(section, url, token, own.ca_file, own.timeout_s)
    return AlertmanagerWay(client) if own.to == "alertmanager" else Webhook(client, own.name, page)


def rules(settings: NotifySettings, own: ChannelSettings) -> Rules:
    """What a channel tells, and when."""
    return Rules(
        wait_ms=int(settings.group_wait_s * 1000),
        interval_ms=int(settings.group_interval_s * 1000),
        repeat_ms=int(settings.repeat_interval_s * 1000),
        flood=settings.flood_alarms,
        flood_ms=int(settings.flood_within_s * 1000),
        group_by=own.group_by,
        assets=own.assets,
        exclude=own.exclude,
        kinds=own.kinds,
        critical_only=own.severity == "critical",
        critical_passes=own.critical_passes,
        quiet=quiet.hours(
            own.quiet_from, own.quiet_to, UTC if own.time_zone == "UTC" else ZoneInfo(own.time_zone)
        ),
    )


def plant_of(state: LineState) -> Plant:
    """What channels have to know of the line: how many assets each site has, and which are worked on."""
    keys = {key for each in state.classes for key in each.keys}
    maintained = frozenset(asset for asset, plan in state.plans.items() if plan.begun)
    return Plant(Counter(map(site_of, keys)), maintained)
