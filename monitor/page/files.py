"""The files of the page, as they lie in the package, and plotly.js as it lies in plotly's.

They hold no facts, so whoever reaches the port may have them; a browser keeps them and asks by ETag whether they
are still the same. plotly.js is read and compressed when somebody asks for it first, and kept compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import threading
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
PLOTLY = "plotly.js"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Nothing from elsewhere, and no script that is written into the page itself. Styles may be: plotly.js writes its
# own (the layers of a chart, the bar of buttons), and saves a chart as a picture by way of data: and blob:.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Kept(NamedTuple):
    """A file, compressed."""

    packed: bytes
    etag: str
    media: str


class Files:
    """All of them by name, for any thread."""

    def __init__(self) -> None:
        found = sorted(path for path in STATIC.rglob("*") if path.suffix in TYPES)
        self._kept = {str(path.relative_to(STATIC)): _keep(path.read_bytes(), path.suffix) for path in found}
        self._fetching = threading.Lock()

    def names(self) -> list[str]:
        """What there is beside plotly.js."""
        return list(self._kept)

    def find(self, name: str) -> Kept:
        """A file. Reads plotly.js when it is asked for first. Raises HTTPException where there is none."""
        if name == PLOTLY:
            with self._fetching:
                if PLOTLY not in self._kept:
                    self._kept[PLOTLY] = _keep(plotly().read_bytes(), ".js")
        if name not in self._kept:
            raise HTTPException(HTTPStatus.NOT_FOUND, "the page has no such file")
        return self._kept[name]


def plotly() -> Path:
    """Where plotly.js lies; plotly itself is not imported. Raises HTTPException."""
    spec = importlib.util.find_spec("plotly")
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    for folder in folders:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise HTTPException(
        HTTPStatus.NOT_FOUND, "plotly is not installed, so there are no charts: pip install plotly"
    )


def told(request: Request, kept: Kept) -> Response:
    """The answer to who asks for a file: that it has not changed, or all of it."""
    headers = {"ETag": kept.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if kept.media == "text/html":
        headers["Content-Security-Policy"] = POLICY
    if kept.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = kept.packed
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=kept.media)


def _keep(content: bytes, suffix: str) -> Kept:
    etag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
    return Kept(gzip.compress(content, mtime=0), etag, TYPES[suffix])
