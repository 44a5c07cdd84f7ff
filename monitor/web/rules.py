"""Who may ask the HTTP port for what. Pure: a request's head in, a refusal in words out.

* Every request names, in `Host`, a name that is ours: else a page of a stranger whose name was pointed at this
  address (DNS rebinding) could read the answers.
* What changes something must not come from a page of another origin: `Origin` and `Sec-Fetch-Site` are looked at,
  on loopback too, because any page in a browser of this machine can send requests there. The content type must be
  JSON, which a page cannot send to another origin without being asked first; we answer no such question. Nor may
  what is read under /api/: such a page cannot read the answers, but it could ask until others get none.
* A token is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from config.addresses import as_address, is_loopback, is_wildcard

if TYPE_CHECKING:
    from collections.abc import Mapping

READS = frozenset({"GET", "HEAD"})
FIRST_PARTY = frozenset({"same-origin", "none"})  # none: the user typed the address
PORTS = {"http": 80, "https": 443}
FACTS = "/api/"  # what begins so; a link to anything else may stand on any page

# On every answer, whoever made it. A page would have a policy of its own.
HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: HTTPStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of who may ask.

    Without a token everyone on this machine may do everything. With one, everything that changes something needs
    it; where requests can come from elsewhere (another address than loopback, or further host names, which a proxy
    has), reading needs it as well.
    """

    host: str  # the address that is bound
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()

    @property
    def private(self) -> bool:
        """Whether only this machine can ask."""
        return is_loopback(self.host) and not self.allowed_hosts

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why this request is refused; None where it is not. `headers` have lower-case names."""
        host = headers.get("host", "")
        if not self.is_ours(host):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST, f"{host!r} is no name of this port: see http.allowed_hosts"
            )
        reads = method in READS
        own = not reads or path.startswith(FACTS)
        if own and (refused := _cross_site(host, headers)) is not None:
            return refused
        if not (reads and self.private) and not self.knows(headers):
            return Refusal(HTTPStatus.UNAUTHORIZED, "this needs the header Authorization: Bearer with http.token")
        if not reads and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
        return None

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request has the token, or none is asked for."""
        if self.token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # A head's bytes are read as Latin-1; of the token the settings take ASCII alone.
        sides = (given.strip().encode("latin-1", "replace"), self.token.encode())
        digests = (hashlib.sha256(side).digest() for side in sides)
        return scheme.lower() == "bearer" and hmac.compare_digest(*digests)

    def is_ours(self, host: str) -> bool:
        """Whether `Host` is a name by which this port may be asked.

        An address is no name that somebody could point elsewhere, nor is localhost; so where every address is
        bound, each of them is right.
        """
        name = _name(host)
        if name is None:
            return False
        if name in {each.lower().rstrip(".") for each in self.allowed_hosts} | {self.host.lower()}:
            return True
        if is_loopback(self.host):
            return is_loopback(name)
        return is_wildcard(self.host) and (as_address(name) is not None or is_loopback(name))


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is no such header.

    >>> [_name(host) for host in ("localhost:80", "[::1]:8080", "[::1]", "", "a@b", "a:b", "a/b")]
    ['localhost', '::1', '::1', None, None, None, None]
    """
    if not host or set(host) & set("/@?#\\ ,"):
        return None
    try:
        split = urlsplit(f"//{host}")
        split.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    return (split.hostname or "").rstrip(".") or None


def _cross_site(host: str, headers: Mapping[str, str]) -> Refusal | None:
    """Refuse what a page of another origin asks for. Those who are no browser send neither header."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site is not None and site not in FIRST_PARTY:
        return Refusal(HTTPStatus.FORBIDDEN, f"asked for by another site (Sec-Fetch-Site: {site!r})")
    if origin is not None and not _same_origin(origin, host):
        return Refusal(HTTPStatus.FORBIDDEN, f"asked for by a page of another origin ({origin!r})")
    return None


def _same_origin(origin: str, host: str) -> bool:
    """Whether the page came from the address that it asks, seen from the browser."""
    try:
        page, asked = urlsplit(origin), urlsplit(f"//{host}")
        ports = page.port, asked.port
    except ValueError:
        return False
    if page.scheme not in PORTS or page.path or page.query or page.username is not None:
        return False
    usual = PORTS[page.scheme]
    return (page.hostname, ports[0] or usual) == (asked.hostname, ports[1] or usual)
