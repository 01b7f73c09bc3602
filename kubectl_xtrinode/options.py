"""Options that every command has, wherever they stand on the line, and their one meaning.

kubectl refuses flags before a plugin's name, so people put them anywhere after it: `kubectl xtrinode -n x get` and
`kubectl xtrinode get -n x` are the same. The group and each command take them; the one nearer to the verb wins.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Connection:
    """kubectl's own connection flags; None or empty: not given."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = None
    as_user: str | None = None
    as_group: tuple[str, ...] = ()
    as_uid: str | None = None
    request_timeout: float | None = None
    insecure_skip_tls_verify: bool = False

    def over(self, outer: Connection) -> Connection:
        """These options, and `outer`'s where these say nothing."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}
        return replace(outer, **given)

    def impersonation(self) -> list[tuple[str, str]]:
        """Impersonation headers, one line per group."""
        headers = [("Impersonate-User", self.as_user)] if self.as_user else []
        headers += [("Impersonate-Group", group) for group in self.as_group]
        if self.as_uid:
            headers.append(("Impersonate-Uid", self.as_uid))
        return headers


_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ms|s|m|h)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType[float]):
    """kubectl's durations: `30s`, `5m`, `1h30m`, or plain seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        parts = _DURATION.findall(text)
        if text and "".join(parts) == text:
            return math.fsum(float(part.rstrip("hms")) * _UNITS[part.lstrip("0123456789.")] for part in parts)
        if not re.fullmatch(r"[0-9]+(\.[0-9]*)?", text, re.ASCII):
            self.fail(f"{value!r} is no duration; write it like 30s, 5m or 1h30m", param, ctx)
        return float(text)


def duration_text(seconds: float) -> str:
    """Seconds as Kubernetes writes durations, never as 1e+06."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


_OBJECT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?", re.ASCII)
_PREFIXES = frozenset(
    f"{kind}{group}"
    for kind in ("xtrinode", "xtrinodes", "xtrinodecatalog", "xtrinodecatalogs", "tn", "tnc")
    for group in ("", ".analytics.xtrinode.io")
)


class ObjectName(click.ParamType[str]):
    """The name of an object, also as `-o name` prints it: `xtrinode.analytics.xtrinode.io/analytics`."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind, slash, name = str(value).rpartition("/")
        if (slash and kind not in _PREFIXES) or len(name) > 253 or not _OBJECT_NAME.fullmatch(name):
            self.fail(f"{value!r} is no name; names are lower-case letters, digits and dashes", param, ctx)
        return name


NAME = ObjectName()
SECONDS = Seconds()

_OPTIONS = (
    click.option(
        "-n", "--namespace", metavar="NS", type=NAME, help="Namespace; default: that of the kubeconfig's context."
    ),
    click.option("--kubeconfig", metavar="FILE", help="The kubeconfig to use."),
    click.option("--context", metavar="NAME", help="The context of the kubeconfig to use."),
    click.option("-s", "--server", metavar="URL", help="The API server, instead of the kubeconfig's."),
    click.option("--token", metavar="TOKEN", help="Bearer token, instead of the kubeconfig's user."),
    click.option("--as", "as_user", metavar="USER", help="Act as this user."),
    click.option("--as-group", multiple=True, metavar="GROUP", help="Act as a member of this group."),
    click.option("--as-uid", metavar="UID", help="Act with this uid."),
    click.option("--request-timeout", type=SECONDS, metavar="DURATION", help="Longest wait for one request."),
    click.option("--insecure-skip-tls-verify", is_flag=True, help="Do not check the server's certificate."),
)
_NAMES = tuple(one.name for one in fields(Connection))


def connection_options(command: F) -> F:
    """Give a command kubectl's connection flags; it gets them as its first argument, a `Connection`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        own = Connection(**{name: kwargs.pop(name) for name in _NAMES})
        context = click.get_current_context()
        outer = context.obj if isinstance(context.obj, Connection) else Connection()
        return command(own.over(outer), *args, **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
