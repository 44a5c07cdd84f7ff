"""What Home Assistant is told of an asset by MQTT discovery: a device with three entities, and its state. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from monitor import wording

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_STATE = 255  # characters that a state may have there
LONGEST_NAME = 40  # of an asset's key in an id
GOOD = "no incident"
ORIGIN = {"name": "Enginewatch"}


def node(stream: str) -> str:
    """The id of an asset: letters, digits and underscores, and like no other's.

    >>> node("plant1//engine-07")
    'enginewatch_plant1_engine_07_ced4c9d4'
    """
    plain = re.sub(r"[^a-z0-9]+", "_", stream.lower()).strip("_")[:LONGEST_NAME]
    return f"enginewatch_{plain}_{hashlib.sha256(stream.encode()).hexdigest()[:8]}"


def config_topic(prefix: str, stream: str) -> str:
    """Where an asset's device is described."""
    return f"{prefix}/device/{node(stream)}/config"


def state_topic(own: str, stream: str) -> str:
    """Where its state goes."""
    return f"{own}/home/{node(stream)}"


def description(stream: str, asset_class: str, own: str, page: str) -> dict[str, Any]:
    """The device: whether something is wrong, the score, and the worst open incident in words."""
    site, area, asset = [*stream.split("/", 2), "", ""][:3]
    name = node(stream)
    device: dict[str, Any] = {"identifiers": [name], "name": asset or stream, "manufacturer": "Enginewatch"}
    device |= {"model": asset_class, "suggested_area": area or site}
    if page:
        device["configuration_url"] = page
    return {
        "device": device,
        "origin": ORIGIN,
        "components": {
            "problem": {
                "platform": "binary_sensor",
                "name": "Problem",
                "unique_id": f"{name}_problem",
                "device_class": "problem",
                "value_template": "{{ value_json.problem }}",
            },
            "score": {
                "platform": "sensor",
                "name": "Score",
                "unique_id": f"{name}_score",
                "state_class": "measurement",
                "value_template": "{{ value_json.score }}",  # "None" is "unknown" there
            },
            "incident": {
                "platform": "sensor",
                "name": "Incident",
                "unique_id": f"{name}_incident",
                "icon": "mdi:engine",
                "value_template": "{{ value_json.incident }}",
            },
        },
        "state_topic": state_topic(own, stream),
        "availability_topic": f"{own}/status",
        "availability_template": "{{ 'online' if value_json.online else 'offline' }}",
    }


def state(row: Mapping[str, Any]) -> dict[str, Any]:
    """An asset's state, of its row in `monitor.overview`."""
    worst = row["incident"]
    told = GOOD if worst is None else f"{wording.state(worst['kind'])}: {worst['summary']}"
    if worst is not None and worst["kind"] in wording.FAULTS:  # of which the words begin with the sensor
        told = worst["summary"]
    return {
        "problem": "OFF" if worst is None else "ON",
        "score": None if row["score"] is None else float(f"{row['score']:.3g}"),
        "incident": told if len(told) <= LONGEST_STATE else f"{told[: LONGEST_STATE - 1]}…",
    }
