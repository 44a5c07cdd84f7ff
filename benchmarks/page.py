"""How long the page takes where the store holds thirty days of a hundred assets: its answers, and a browser.

    python -m benchmarks.page [--no-browser]

The store is that of `benchmarks.speed.store`, with twenty thousand incidents beside it. Answers are asked for one
after the other over HTTP, as a browser does, and read to their end; the table has the median and the slowest. The
browser waits for the first chart or the first row of a view, and says itself how long that took since it was sent
there: at first, when it has nothing, and again, when it has the files and what it made of plotly.js, which is from
the third time on.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmarks.speed.store import ONE, STREAMS, fill
from config.shipped import model_folder
from models.artifact import load_header
from monitor.history import DAY, HOUR
from monitor.records import StepResult, Transition
from monitor.spec import LineSpec
from tests.http_rig import number
from tests.line_samples import shipped
from tests.page_rig import Page, served
from tests.store_samples import transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.records import AlertEvent
    from monitor.web.server import HttpPort

REPEATS = 15
INCIDENTS, OPEN = 20_000, 30
ASSET = STREAMS[ONE]
KEY = quote(ASSET, safe="")
# A browser that sees it: the selector of what is looked for, on the address.
SEEN = {
    f"#/asset/{KEY}/24h": ".view-asset .chart .scatterlayer path",
    f"#/asset/{KEY}/30d": ".view-asset .chart .scatterlayer path",
    "#/incidents": ".view-incidents tbody tr",
    "#/fleet": ".view-fleet .card",
}
WAITED = """
const [selector, done] = arguments;
const look = () => (document.querySelector(selector) ? done(performance.now()) : requestAnimationFrame(look));
look();
"""


def incidents(now: int) -> Iterator[AlertEvent]:
    """Some of each asset, over thirty days; the newest are open."""
    for count in range(INCIDENTS):
        started = now - 30 * DAY + count * (30 * DAY // INCIDENTS)
        about: dict[str, Any] = {
            "incident": f"i{count}",
            "stream": STREAMS[count % len(STREAMS)],
            "started": started,
        }
        yield transition(Transition.FIRED, time=started, recorded=started, **about)
        if count < INCIDENTS - OPEN:
            yield transition(Transition.CLEARED, time=started + 60_000, recorded=started + 60_000, **about)


def prepare(page: Page, folder: Path, now: int) -> None:
    """What the line knows of the assets, their model, and their incidents."""
    source = model_folder(Path("pretrained:engine"))
    header = load_header(source)
    shutil.copytree(source, folder / "models" / header.hash)
    names, units = (tuple(getattr(each, name) for each in header.sensors) for name in ("name", "unit"))
    spec = shipped("engine")
    route = replace(spec.route, sensors=names)
    page.line = LineSpec("enginewatch", 1000, (replace(spec, model_hash=header.hash, route=route, units=units),))
    page.rows = [
        {
            "asset": key, "class": "engine", "model": "engine", "regime": "all", "status": "watched", "heard": now,
            "newest": now, "incidents": 0, "threshold": 1.5, "creep": None, "drift": None, "maintenance": None,
        }
        for key in STREAMS
    ]  # fmt: skip
    page.store.write(page.store.written + 1, StepResult([], list(incidents(now)), []))


def answers(now: int) -> dict[str, str]:
    """What is asked for, by what it is."""
    asset = f"/api/v1/assets/{KEY}"
    return {
        "asset, 15 min": f"{asset}?span={15 * 60_000}&points=600",
        "asset, 24 h": f"{asset}?span={DAY}&points=600",
        "asset, 7 d": f"{asset}?span={7 * DAY}&points=600",
        "asset, 30 d": f"{asset}?span={30 * DAY}&points=600",
        "asset, an hour three weeks ago": f"{asset}?from={now - 21 * DAY}&to={now - 21 * DAY + HOUR}&points=600",
        "map, 24 h": f"{asset}/map?span={DAY}",
        "new rows": f"{asset}/rows?after=0",
        "incidents, open": "/api/v1/incidents?open=1&limit=200",
        "incidents, past": "/api/v1/incidents?open=0&limit=50",
        "one incident": f"/api/v1/incidents/i{INCIDENTS - len(STREAMS) + ONE}",
        "fleet": "/api/v1/fleet",
        "trends of the fleet": "/api/v1/fleet/trends",
    }


def asked(made: HttpPort, path: str) -> tuple[float, int]:
    """How long an answer took, in ms, and how many bytes it had on the way."""
    begun = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", number(made), timeout=60)) as connection:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200, body  # noqa: PLR2004 - OK
    return 1000 * (time.perf_counter() - begun), len(body)


def browsed(address: str) -> Iterator[tuple[str, float, float, float]]:
    """Of each view what a browser says: until something is seen, in ms, at first, and then median and slowest."""
    from tests.browser.chromium import chromium  # noqa: PLC0415 - needs a browser

    with chromium(address) as tab:
        for view, selector in SEEN.items():
            waited = []
            for again in range(REPEATS // 3 + 2):
                tab.driver.get("about:blank")
                tab.open(f"?{again}{view}")
                waited.append(float(tab.driver.execute_async_script(WAITED, selector)))
            yield view, waited[0], statistics.median(waited[2:]), max(waited[2:])


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-browser", action="store_true", help="only the answers")
    options = parser.parse_args()
    now = time.time_ns() // 1_000_000 // HOUR * HOUR
    with tempfile.TemporaryDirectory(prefix="enginewatch-page-") as name:
        folder = Path(name)
        fill(folder / "store.db", now)
        with served(folder) as page:
            prepare(page, folder, now)
            assert page.port is not None
            _say("| answer | median ms | slowest ms | kB on the way |\n|---|---|---|---|")
            for what, path in answers(now).items():
                asked(page.port, path)
                took, sizes = zip(*(asked(page.port, path) for _ in range(REPEATS)), strict=True)
                _say(f"| {what} | {statistics.median(took):.0f} | {max(took):.0f} | {sizes[0] / 1000:.1f} |")
            if not options.no_browser:
                _say("\n| view | at first ms | median ms | slowest ms |\n|---|---|---|---|")
                for view, first, median, most in browsed(page.port.address):
                    _say(f"| {view} | {first:.0f} | {median:.0f} | {most:.0f} |")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    sys.exit(main())
