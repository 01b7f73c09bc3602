"""How a worker leaves: it says so, finishes its tasks, and only then is stopped.

The hook asks the worker to shut down and then waits until it no longer answers. Kubernetes sends SIGTERM only when
the hook returns, so returning early would kill the tasks that it is there to save; the pod's termination grace
period ends the wait in any case. When the container's first process exits, the hook ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crds.v1.runtime_shape import RuntimeShape

CONTROL_USER = "XTRINODE_TRINO_CONTROL_USER"
CONTROL_PASSWORD = "XTRINODE_TRINO_CONTROL_PASSWORD"  # noqa: S105 - a variable's name

# Headers go through standard input: what is on a command line can be read by everyone in the pod.
_SCRIPT = """\
case "$POD_IP" in *:*) host="[$POD_IP]" ;; *) host="$POD_IP" ;; esac
url="http://$host:{port}/v1/info/state"
user="${{{user}:-xtrinode-operator}}"
headers() {{
  printf 'X-Trino-User: %s\\n' "$user"
  printf 'Content-Type: application/json\\n'
  if [ -n "${{{password}:-}}" ]; then
    printf 'X-Forwarded-Proto: https\\n'
    printf 'Authorization: Basic %s\\n' "$(printf '%s:%s' "$user" "${password}" | base64 | tr -d '\\n')"
  fi
}}
headers | curl -fsS -m 5 -o /dev/null -X PUT -H @- -d '"SHUTTING_DOWN"' "$url" || exit 0
misses=0
while [ "$misses" -lt 3 ]; do
  if headers | curl -s -m 5 -o /dev/null -H @- "$url"; then misses=0; else misses=$((misses + 1)); fi
  sleep 1
done
"""


def pre_stop(shape: RuntimeShape) -> dict[str, Any]:
    """The preStop hook of a worker. A worker that refuses to shut down gracefully is stopped the plain way."""
    script = _SCRIPT.format(port=shape.service.port, user=CONTROL_USER, password=CONTROL_PASSWORD)
    return {"exec": {"command": ["/bin/sh", "-c", script]}}


def is_generated(lifecycle: Mapping[str, Any] | None) -> bool:
    """Whether nobody wrote this hook: there is none, or the shape's own, which waits for process 1 and therefore
    ends only where a container has processes of its own."""
    if lifecycle is None:
        return True
    command = ((lifecycle.get("preStop") or {}).get("exec") or {}).get("command") or ()
    return any("while kill -0 1 2>/dev/null; do sleep 1; done" in part for part in command)
