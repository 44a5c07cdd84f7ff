"""The log: structlog on standard error, for people or as one JSON object a line, and never a secret in it.

Rooms write `structlog.get_logger().info("event_name", field=value)`: state changes only. What libraries say
through the standard library's logging joins the same stream from warnings on.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from monitor.printable import json_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, Processor, WrappedLogger

    from config.settings import LogSettings

MASK = "********"
SECRET_NAME = re.compile(r"(?i)(passw|token(?!s)|secret|credential|authorization|api_?key|hmac)(?!.*_(file|dir)$)")


def configure(settings: LogSettings) -> None:
    """Send everything that is logged from now on to standard error. May be called again.

    Times are ISO 8601 in UTC. Tracebacks are plain: richer ones would show the values of local variables.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, *_renderers(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor that masks secrets: every SecretStr, and every value whose key is named like one."""
    return {key: _hidden(key, value) for key, value in event.items()}


def _hidden(key: str, value: Any) -> Any:
    """The value without secrets, however deep they lie in it."""
    if isinstance(value, SecretStr) or (value and SECRET_NAME.search(key)):
        return MASK
    if isinstance(value, Mapping):
        return {str(name): _hidden(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(key, inner) for inner in value]
    return value


def _renderers(settings: LogSettings) -> list[Processor]:
    """What turns an event into a line."""
    if settings.format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain, pad_event_to=0)
    return [_printable, console]


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Texts without control characters: what came from outside must not steer a terminal or forge a line."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _json(event: EventDict, **_options: Any) -> str:
    """One line of JSON that begins with when, how grave and what; NaN becomes null, the unknown becomes text."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return json_line({**first, **event}, enc_hook=str)


@contextmanager
def only_errors_logged() -> Iterator[None]:
    """For a command that tells what happens in a live line: a log between its updates would tear it."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)
