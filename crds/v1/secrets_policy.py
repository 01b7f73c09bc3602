"""Does a property look like a secret in plain text?

Secrets written into a spec end up in etcd, in Git and in `kubectl get -o yaml`. Property names say what
they hold; a few values give themselves away. Names that only point at a secret (a path, a period) are
not secrets, though they have the word in them.
"""

from __future__ import annotations

import re

_WORDS = ("password", "passwd", "secret", "accesskey", "privatekey", "apikey", "token", "keytab", "credential")
_ENDINGS = (
    "path",
    "file",
    "ttl",
    "enabled",
    "timeout",
    "duration",
    "size",
    "location",
    "endpoint",
    "uri",
    "url",
    "type",
    "provider",
    "class",
    "expiration",
    "exchangeenabled",
    "resolver",
    "refreshinterval",
    "cachemaximumsize",
    "username",
    "principal",
)
_SEPARATORS = re.compile(r"[-._:]")
_VALUES = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\"?(private_key|client_secret)\"?\s*[:=]", re.IGNORECASE)
#: user:password@host, as in many connection URLs, or a password among a URL's parameters.
_IN_URL = re.compile(r"://[^/@\s:]+:[^/@\s]+@|[?&;](password|pwd)=", re.IGNORECASE)


def plaintext_secret(key: str, value: str) -> bool:
    """Whether the property should be read from a Secret instead."""
    if _VALUES.search(value):
        return True
    compact = _SEPARATORS.sub("", key.lower())
    if not any(word in compact for word in _WORDS) or compact.endswith(_ENDINGS):
        return False
    # A keytab or credential named by its place in the file system is a pointer, not the thing.
    return not (value.startswith("/") and ("keytab" in compact or "credential" in compact))


def secret_in_url(value: str) -> bool:
    """Whether a URL carries a password."""
    return _IN_URL.search(value) is not None
