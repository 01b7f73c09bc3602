"""Shell completion through kubectl: `kubectl_complete-xtrinode` is what kubectl runs for `kubectl xtrinode <TAB>`.

It gets the words after the plugin's name, the last one possibly empty, and prints cobra's form: one
`value<TAB>description` per line, then `:4` (no file names). It must be quick, so that it knows verbs and flags by
table and asks the API server, for at most a second, only for names of runtimes and catalogs.
"""

from __future__ import annotations

import sys
from itertools import pairwise

from kubectl_xtrinode.verbs import COMMANDS

_NO_FILES = ":4"
#: What `get` gets -> the kind whose names follow; empty: none do.
KINDS = {"runtimes": "xtrinodes", "catalogs": "xtrinodecatalogs", "routes": ""}


def main() -> None:
    """Entry point of the console script."""
    for line in complete(sys.argv[1:]):
        print(line)
    print(_NO_FILES)


def complete(words: list[str]) -> list[str]:
    """Candidates for the last of `words`, as cobra prints them."""
    current = words[-1] if words else ""
    verbs = [word for word in words[:-1] if word in COMMANDS]
    if not verbs:
        return [f"{name}\t{summary}" for name, (_, summary) in COMMANDS.items() if name.startswith(current)]
    if current.startswith("-"):
        return _flags(verbs[0], current)
    flag = words[-2]
    if flag.startswith("-") and (choices := _choices(verbs[0], flag)) is not None:
        return [choice for choice in choices if choice.startswith(current)]
    if verbs[0] != "get":
        return _names(words, current, "xtrinodes")
    chosen = next((KINDS[word] for word in words if word in KINDS), "xtrinodes")
    kinds = [kind for kind in KINDS if kind.startswith(current)] if flag == "get" else []
    return kinds + (_names(words, current, chosen) if chosen else [])


def _choices(verb: str, flag: str) -> list[str] | None:
    """What may stand after a flag; None: nothing, it takes no value."""
    from kubectl_xtrinode.cli import cli

    command = cli.get_command(None, verb)  # type: ignore[arg-type]  # not used by our look-up
    for option in command.params if command else []:
        if flag in option.opts:
            return None if getattr(option, "is_flag", False) else list(getattr(option.type, "choices", ()))
    return None


def _flags(verb: str, current: str) -> list[str]:
    from kubectl_xtrinode.cli import cli

    command = cli.get_command(None, verb)  # type: ignore[arg-type]  # not used by our look-up
    options = [one for one in (command.params if command else []) if one.param_type_name == "option"]
    return [
        f"{flag}\t{getattr(option, 'help', '') or ''}"
        for option in options
        for flag in option.opts
        if flag.startswith(current) and flag.startswith("--")
    ]


def _names(words: list[str], current: str, plural: str) -> list[str]:
    from crds.client.errors import KubeError
    from crds.client.resources import XTRINODE_CATALOGS, XTRINODES
    from kubectl_xtrinode.kube import Kube
    from kubectl_xtrinode.options import Connection

    options = Connection(
        namespace=_value(words, "-n", "--namespace"),
        kubeconfig=_value(words, "--kubeconfig"),
        context=_value(words, "--context"),
        request_timeout=1.0,
    )
    resource = XTRINODE_CATALOGS if plural == XTRINODE_CATALOGS.plural else XTRINODES
    try:
        kube = Kube.connect(options)
        names = [str(one["metadata"]["name"]) for one in kube.list_(resource, kube.namespace)]
    except (KubeError, OSError, ValueError):
        return []
    return [name for name in names if name.startswith(current)]


def _value(words: list[str], *flags: str) -> str | None:
    for flag, value in pairwise(words):
        if flag in flags:
            return value
    return next((word.partition("=")[2] for word in words for flag in flags if word.startswith(f"{flag}=")), None)


if __name__ == "__main__":
    main()
