"""TLS towards brokers and servers: TLS 1.2 at the least, certificates and host names always verified."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LEAST = ssl.TLSVersion.TLSv1_2
# How OpenSSL says that the two sides have no version in common, on either side.
OLDER = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")


class TlsFileError(Exception):
    """A file that TLS needs cannot be used: which, by the key that names it, and why."""


def client_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """A context that trusts `ca_file`, or else the system's authorities, and shows a certificate if there is one.

    Raises TlsFileError.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TlsFileError(f"ca_file {ca_file} cannot be used: {error}") from error
    context.minimum_version = LEAST
    if cert_file is not None:
        try:
            # A key behind a passphrase would be asked for at the terminal of a daemon that has none.
            context.load_cert_chain(cert_file, key_file, password="")
        except (OSError, ValueError) as error:
            raise TlsFileError(f"cert_file {cert_file} or key_file {key_file} cannot be used: {error}") from error
    return context
