"""The page's routes on an HTTP port that really listens, over a real store with rows made by hand."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from monitor.door import CommandError
from monitor.health import Figures
from monitor.page.routes import routes
from monitor.page.sources import Sources
from monitor.spec import LineSpec
from monitor.store import Store
from tests.http_rig import Fake, ask, port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.routing import Route

    from monitor.health import Vitals
    from monitor.web.server import HttpPort


class Page(Fake):
    """A daemon with a store; what its line knows is said by the test."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__()
        self.store = store
        self.folder = folder  # of models, by hash
        self.rows: list[dict[str, Any]] = []
        self.line = LineSpec("enginewatch", 10, ())
        self.standing: dict[str, Any] = {}
        self.busy = False
        self.looks = 0  # how often for the assets
        self.port: HttpPort | None = None

    def assets(self, *, fits: bool = True) -> list[dict[str, Any]]:
        assert fits in {True, False}
        self.looks += 1
        if self.busy:
            raise CommandError("the line is busy: ask again later")
        return self.rows

    def further(self) -> Sequence[Route]:
        return routes(
            Sources(self.store, self.assets, _Measures(self), lambda: self.line, self.folder.joinpath, self.folder)
        )

    def get(self, *parts: str, **query: Any) -> tuple[int, Any]:
        """GET /api/v1/PART/PART…, each part as one of the path."""
        assert self.port is not None
        path = "/api/v1/" + "/".join(quote(part, safe="") for part in parts)
        return ask(self.port, f"{path}?{urlencode(query, doseq=True)}")[:2]


class _Measures:
    """Nothing is measured."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def vitals(self) -> Vitals:
        return self._page.vitals

    def figures(self) -> Figures:
        return Figures()

    def standing(self) -> dict[str, Any]:
        return self._page.standing

    def errors(self) -> dict[str, tuple[str, int]]:
        return {}


@contextmanager
def served(folder: Path) -> Iterator[Page]:
    """A page over an empty store, for a while."""
    with closing(Store(folder / "store.db")) as store:
        page = Page(store, folder / "models")
        with port(page) as page.port:
            yield page
