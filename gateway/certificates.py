"""The certificate that SQL clients see: loaded from two files, and again in place when they change.

Connections that are open keep what they have; new handshakes use the new one. Files that do not belong together never
replace a pair that works. Wiring asks `reload_if_changed` now and then, and `reload` on SIGHUP.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

_LOG = logging.getLogger("xtrinode-gateway")


class CannotServe(Exception):
    """The gateway cannot start; the message says why and what to do."""


class Certificate:
    """Raises CannotServe when the files cannot be used at all."""

    def __init__(self, cert: str, key: str | None) -> None:
        self._cert, self._key = cert, key
        self.context = _context()
        self._seen = self._stamp()
        self._load(self.context)

    def reload(self) -> bool:
        """Use what the files say now; whether that could be done."""
        self._seen = self._stamp()
        try:
            # A pair that does not match would leave a context without a key: it is tried elsewhere first.
            self._load(_context())
            self._load(self.context)
        except CannotServe as error:
            _LOG.error("the certificate in use stays: %s", error)
            return False
        _LOG.info("certificate loaded again from %s", self._cert)
        return True

    def reload_if_changed(self) -> None:
        """Follow a Secret that is mounted as files."""
        if self._stamp() != self._seen:
            self.reload()

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise CannotServe(
                f"cannot use the certificate {self._cert} with the key {self._key or 'in it'}: {_why(error)}; "
                "set --tls-cert and --tls-key to PEM files that belong together"
            ) from error

    def _stamp(self) -> tuple[object, ...]:
        stamps: list[object] = []
        for path in (self._cert, self._key or self._cert):
            try:
                stat = Path(path).stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(stamps)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> bytes:
    """Never ask on a terminal that nobody looks at."""
    raise ValueError("the key is encrypted; give one without a passphrase")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason.lower().replace("_", " ") if error.reason else "not valid PEM"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
