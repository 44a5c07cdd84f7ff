"""The options by which `replay`, `simulate` and `demo` reach a broker, and the settings they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from config.settings import MqttSettings, TlsSettings
from monitor.cli import UserError

if TYPE_CHECKING:
    import argparse

BROKER = "mqtt://127.0.0.1:1883"
PORTS = {"mqtt": 1883, "mqtts": 8883}
UNFIT = set("+# \t\n\0")  # for a topic here: brokers differ in what they make of blanks
OPTIONS = (  # what settings are called here; the longer first
    ("mqtt.host and mqtt.port", "host and port in --broker"),
    ("mqtt.host, mqtt.port", "host and port in --broker"),
    ("mqtt.username and mqtt.password (or mqtt.password_file)", "the user in --broker and --password-file"),
    ("mqtt.password_file", "--password-file"),
    ("mqtt.port or mqtt.tls.enabled", "port in --broker, or mqtt:// in place of mqtts://"),
    ("set mqtt.tls.enabled = true", "use mqtts:// in --broker"),
    ("set mqtt.tls.ca_file to", "give --ca-file"),
    ("mqtt.tls.ca_file", "--ca-file"),
    ("mqtt.host", "the host in --broker"),
    ("mqtt.port", "the port in --broker"),
    ("mqtt.username", "the user in --broker"),
)


def broker_arguments(
    parser: argparse._ActionsContainer, *, site: str, broker: str | None = BROKER, site_in_words: str = ""
) -> None:
    """Add the options; `site` and `broker` are the command's defaults, None where it brings a broker along."""
    add = parser.add_argument
    default = "" if broker is None else " (%(default)s)"
    url = f"mqtt://user@host:port, or mqtts:// for TLS{default}"
    add("--broker", default=broker, metavar="URL", help=url)
    add("--password-file", type=Path, metavar="FILE", help="password of the user")
    add("--ca-file", type=Path, metavar="FILE", help="authority that signed the broker's certificate")
    add("--root", default="enginewatch", help="first level of the topics (%(default)s)")
    add("--site", default=site, help=f"site in the topics ({site_in_words or site})")


def mqtt_settings(options: argparse.Namespace) -> MqttSettings:
    """The connection that the options describe. Raises UserError."""
    try:
        url = urlsplit(options.broker)
        port = url.port
    except ValueError as error:
        raise UserError(f"--broker {options.broker}: {error}") from error
    if url.scheme not in PORTS or not url.hostname or url.path.strip("/") or url.query:
        raise UserError("--broker takes mqtt://user@host:port or mqtts://user@host:port")
    if url.password is not None:
        raise UserError("a password on the command line is seen by every user of this host: use --password-file")
    if not options.site or set(options.site) & UNFIT or "/" in options.site:
        raise UserError(f"--site {options.site!r} cannot be a topic level: leave out blanks, +, # and /")
    if not options.root or set(options.root) & UNFIT or options.root.startswith("$"):
        raise UserError(f"--root {options.root!r} cannot begin a topic: leave out blanks, +, # and a leading $")
    try:
        return MqttSettings(
            host=url.hostname,
            port=port or PORTS[url.scheme],
            username=unquote(url.username or ""),
            password_file=options.password_file,
            root=options.root,
            tls=TlsSettings(enabled=url.scheme == "mqtts", ca_file=options.ca_file),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def in_options(error: Exception) -> str:
    """An error's sentence, with the options here in place of the settings that it names.

    >>> in_options(ValueError("nobody listens on 127.0.0.1:1: start the broker, or check mqtt.host and mqtt.port"))
    'nobody listens on 127.0.0.1:1: start the broker, or check host and port in --broker'
    """
    sentence = str(error)
    for setting, option in OPTIONS:
        sentence = sentence.replace(setting, option)
    return sentence
