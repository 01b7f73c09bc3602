"""The configuration keys that a Trino 480 server knows, with the type of each value.

Read by the configuration loader, which refuses anything else with the server's own wording. The server's own keys are
in a generated module; here is what it cannot say: which prefixes the HTTP clients have, and what the launcher reads.
Every key is known whatever else is set, so the stand-in takes some that a server refuses as not used (those of
OAuth2 without OAuth2, say).
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.trino import server_keys
from sandbox.trino.server_keys import BOOLEAN, DECIMAL, DURATION, INTEGER, SIZE, TEXT

# HTTP clients inside the server take the same keys behind a prefix.
_HTTP_CLIENTS = """
    announcer catalog-prune discovery exchange failure-detector jwk memory-manager node-manager oauth2-jwk scheduler
    worker-info
"""
# The launcher's; the server itself does not see them.
_LAUNCHER = "node.data-dir node.launcher-log-file node.server-log-file launcher.pid-file"

DEFUNCT = frozenset(server_keys.DEFUNCT.split())


def _flatten(groups: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    return {prefix + key: kind for kind, keys in groups.items() for key in keys.split()}


SERVER_KEYS: dict[str, str] = {
    **_flatten(server_keys.LEGACY),
    **_flatten(server_keys.CURRENT),
    **{
        key: kind
        for client in _HTTP_CLIENTS.split()
        for key, kind in _flatten(server_keys.HTTP_CLIENT, f"{client}.http-client.").items()
    },
}
NODE_KEYS: dict[str, str] = dict.fromkeys(_LAUNCHER.split(), TEXT)
LEGACY = frozenset(_flatten(server_keys.LEGACY))

__all__ = ["BOOLEAN", "DECIMAL", "DEFUNCT", "DURATION", "INTEGER", "LEGACY", "NODE_KEYS", "SERVER_KEYS", "SIZE", "TEXT"]
