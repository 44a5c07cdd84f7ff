"""What is seen of the models, the state folder, a running daemon and InfluxDB."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from config.classes import fitted
from config.secret import secret
from models.artifact import load_header
from monitor import damage, models_in_use
from monitor.doctor.facts import ChannelFacts, HttpFacts, InfluxFacts, ModelFacts, StoreFacts
from monitor.door import SOCKET
from monitor.schema import StoreError
from monitor.store import Store
from monitor.tls import TlsFileError, client_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from config.classes import ResolvedClass
    from config.settings import InfluxSettings, Settings
    from monitor.models_in_use import ClassModels

MEASUREMENT = "enginewatch_doctor"
ANSWER_S = 2.0


def in_use(settings: Settings, classes: Sequence[ResolvedClass]) -> list[ResolvedClass]:
    """The classes with the models that the daemon has in use: what was promoted since holds, not the settings."""
    place = settings.daemon.state_dir
    try:
        known = models_in_use.load(place)
        return [_with_model_in_use(place / "models", each, known.get(each.family)) for each in classes]
    except (ValueError, OSError):  # as the daemon does, which says why
        return list(classes)


def _with_model_in_use(shelf: Path, given: ResolvedClass, known: ClassModels | None) -> ResolvedClass:
    if known is None or known.settings != (given.model_hash or "") or known.now.hash == known.settings:
        return given
    if not known.now.hash:
        return replace(given, model=None, model_name="", model_hash=None, window=None)
    folder = shelf / known.now.hash
    return fitted(given, folder, load_header(folder))


def models(settings: Settings, classes: Sequence[ResolvedClass]) -> Iterator[ModelFacts]:
    """Load each class's model and score one window in the middle of its sensors' ranges."""
    from models.runtime import load_model  # noqa: PLC0415 - loading the runtime takes long

    for each in classes:
        if each.model is None or each.window is None:
            yield ModelFacts(each.name)
            continue
        try:
            model = load_model(each.model, threads=settings.score.threads, batch_size=1)
        except (ValueError, OSError) as error:
            yield ModelFacts(each.name, each.model_name, str(error))
            continue
        middle = [_middle(*bounds) for bounds in zip(each.lowest, each.highest, strict=True)]
        window = np.tile(np.array(middle, np.float32), (1, each.window, 1))  # (1, T, C)
        here = window[0, -1]  # the level of an asset that runs there, where the model asks for one
        score = model.score(window, (here, np.ones_like(here)))[2]
        yield ModelFacts(each.name, each.model_name, finite=bool(np.isfinite(score).all()))


def _middle(lowest: float | None, highest: float | None) -> float:
    return 0.0 if lowest is None or highest is None else (lowest + highest) / 2


def folder(settings: Settings) -> StoreFacts:
    """Whether the state folder can be written, and its disk holds what the settings allow. Leaves nothing."""
    place = settings.daemon.state_dir
    there = next(each for each in (place, *place.absolute().parents) if each.exists())
    if not there.is_dir():
        return StoreFacts(str(place), f"{there} is a file, not a folder")
    budget = settings.store.max_bytes + settings.store.journal_max_bytes
    try:
        with tempfile.TemporaryFile(dir=there) as file:  # without a name, so that nothing is left
            file.write(b"enginewatch doctor")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(there).free
        used = sum(file.stat().st_size for file in place.iterdir() if file.is_file()) if there == place else 0
        for name in ("journal.db", "store.db"):
            if damage.marker(place / name).exists():
                return StoreFacts(str(place), f"{name} is damaged: {damage.REMEDY}")
        if (place / "store.db").exists():
            Store(place / "store.db").close()
    except OSError as error:
        why = error.strerror or str(error)
        return StoreFacts(str(place), why if there == place else f"cannot be made in {there}: {why}")
    except StoreError as error:
        return StoreFacts(str(place), str(error))
    return StoreFacts(str(place), free=free, used=used, budget=budget)


def is_running(state_dir: Path) -> bool:
    """Whether a daemon answers at the socket of this folder. Nothing is asked of it."""
    try:
        descriptor = os.open(state_dir, os.O_RDONLY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_S)
            client.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def noted(state_dir: Path) -> tuple[dict[str, Any] | None, str]:
    """A daemon's books, and what it says of the broker; None where it has noted nothing, or cannot be read."""
    try:
        if not (state_dir / "store.db").exists():
            return None, ""
        with closing(Store(state_dir / "store.db")) as store:
            facts = store.facts()
    except StoreError:
        return None, ""
    books = json.loads(facts["books"]) if "books" in facts else None
    return books, facts.get("broker", "")


def influx(settings: InfluxSettings, daemon_id: str) -> InfluxFacts:
    """Write one point of a measurement of our own, and read it back by InfluxQL."""
    if not settings.url:
        return InfluxFacts()
    from monitor.influx_client import InfluxClient, Refused, TooLarge, Unavailable  # noqa: PLC0415 - a slow import

    stamp = time.time_ns() // 1_000_000
    try:
        token = secret(settings.token, settings.token_file)
        client = InfluxClient(settings, token)
        client.write([f"{MEASUREMENT},daemon={daemon_id} written={stamp}.0 {stamp}"])
        client.close()
    except (Refused, TooLarge, Unavailable, ValueError) as error:
        return InfluxFacts(settings.url, settings.bucket, write_problem=str(error))
    problem, no_api = _read_back(settings, token, daemon_id, stamp)
    return InfluxFacts(settings.url, settings.bucket, read_problem=problem, no_query_api=no_api)


def channels(settings: Settings) -> Iterator[ChannelFacts]:
    """Whether somebody answers at the address of every channel; nothing is sent."""
    from monitor.channels.made import way  # noqa: PLC0415 - a slow import for those who have none
    from monitor.channels.way import Undelivered  # noqa: PLC0415 - as above

    for each in settings.notify.channels:
        by = way(each, settings.notify.page_url)
        try:
            yield ChannelFacts(each.name, by.reach())
        except Undelivered as error:
            yield ChannelFacts(each.name, "", str(error))
        finally:
            by.close()


def http(settings: Settings, *, running: bool) -> HttpFacts:
    """Ask a running daemon's HTTP port whether it is ready."""
    known = HttpFacts(settings.http.enabled, running)
    if not (known.enabled and running):
        return known
    try:
        with closing(Store(settings.daemon.state_dir / "store.db")) as store:
            known = replace(known, noted=store.facts().get("http", ""))
    except StoreError:
        return known
    if not known.noted.startswith("http://"):
        return known
    request = urllib.request.Request(f"{known.noted}/readyz")  # noqa: S310 - http, as was just looked at
    token = secret(settings.http.token, settings.http.token_file)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirection)
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                return replace(known, problem=f"{error.code} {error.reason}")
            found = json.load(error)
    except (OSError, ValueError) as error:
        return replace(known, problem=str(error))
    return replace(known, status=str(found["status"]), reasons=tuple(found.get("reasons", ())))


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Let it be an error."""


def _read_back(settings: InfluxSettings, token: str | None, daemon_id: str, stamp: int) -> tuple[str, bool]:
    """Why the point cannot be read, empty where it can; and whether that is for want of a query address."""
    database, _, policy = settings.bucket.partition("/")
    where = f"daemon = '{daemon_id}' AND time = {stamp}ms"
    query = f"SELECT written FROM {MEASUREMENT} WHERE {where}"  # noqa: S608 - an id has no quotes
    asked = {"db": database, "epoch": "ms", "q": query}
    words = urllib.parse.urlencode(asked | ({"rp": policy} if policy else {}))
    request = urllib.request.Request(f"{settings.url.rstrip('/')}/query?{words}")  # noqa: S310 - http(s) is checked
    if token:
        request.add_header("Authorization", f"Token {token}")
    try:
        context = client_context(settings.ca_file, settings.cert_file, settings.key_file)
        https = urllib.request.HTTPSHandler(context=context)
        # Not by way of a redirection or a proxy of the environment: they would get the token.
        opener = urllib.request.build_opener(https, urllib.request.ProxyHandler({}), _NoRedirection)
        with opener.open(request, timeout=settings.timeout_s) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        missing = error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        return f"{error.code} {error.reason}", missing
    except (OSError, ValueError, TlsFileError) as error:
        return f"{type(error).__name__}: {error}", False
    result = found.get("results", [{}])[0] if isinstance(found, dict) else {}
    if "error" in result:
        return str(result["error"]), False
    rows = [row for series in result.get("series", []) for row in series.get("values", [])]
    return ("" if [stamp, stamp] in rows else "the answer does not hold it"), False
