"""A process's settings, stated once in a frozen dataclass: flags, environment twins and `--help` derive from it.

A field made by `setting` or `duration` becomes the flag `--drain-poll` and the variable `XTRINODE_DRAIN_POLL`; the
flag wins over the variable, the variable over the default. Durations are written as Go and Kubernetes write them
(`90s`, `5m`) and kept as seconds. Nothing here reads a file or opens a socket.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from crds.v1.quantity import parse_duration

T = TypeVar("T")


class SettingsError(ValueError):
    """A flag or environment variable whose value cannot be used; says which and what to type."""


@dataclass(frozen=True, slots=True)
class Program:
    """What `--help` says around the flags."""

    name: str
    description: str
    epilog: str = ""


def setting(default: Any, parse: Callable[[str], Any], metavar: str, explain: str) -> Any:
    """A field of a settings dataclass; `parse` raises ValueError saying what to write instead."""
    return dataclasses.field(
        default=default, metadata={"parse": parse, "metavar": metavar, "help": explain, "text": default}
    )


def duration(default: str, explain: str) -> Any:
    """A field that is written like `90s` and kept as seconds."""
    return dataclasses.field(
        default=seconds(default), metadata={"parse": seconds, "metavar": "DURATION", "help": explain, "text": default}
    )


def seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


def truth(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("write true or false")


def count(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"write a number from {low} to {high}")
        return value

    return parse


def host_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host.strip("[]"):
        raise ValueError("write HOST:PORT, for example 127.0.0.1:8080; port 0 lets the kernel choose")
    return text


def split_address(text: str) -> tuple[str, int]:
    """Host and port of a value that `host_port` accepted."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return text

    return parse


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return "XTRINODE_" + name.upper()


def parse_settings(kind: type[T], program: Program, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> T:
    """An instance of the settings dataclass `kind`. Raises SettingsError; `--help` prints and exits."""
    environ = os.environ if environ is None else environ
    given = vars(_parser(kind, program).parse_args(argv))
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(kind):  # type: ignore[arg-type]
        variable = variable_of(spec.name)
        for source, text in ((flag_of(spec.name), given[spec.name]), (variable, environ.get(variable) or None)):
            if text is None:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                raise SettingsError(f"{source} cannot be {text!r}: {error}") from error
            break
    return kind(**values)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; {self.prog} --help lists the flags")


def _parser(kind: type[Any], program: Program) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program.name,
        description=program.description,
        epilog=program.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for spec in dataclasses.fields(kind):
        default = spec.metadata["text"]
        shown = "" if default is None else f"; default {str(default).lower() if default in (True, False) else default}"
        explain = f"{spec.metadata['help']} [{variable_of(spec.name)}{shown}]".replace("%", "%%")
        flag = flag_of(spec.name)
        if spec.metadata["parse"] is truth:
            parser.add_argument(flag, dest=spec.name, action="store_const", const="true", help=explain)
            opposite = argparse.SUPPRESS if default is False else f"the opposite of {flag}"
            parser.add_argument("--no-" + flag[2:], dest=spec.name, action="store_const", const="false", help=opposite)
        else:
            parser.add_argument(flag, dest=spec.name, metavar=spec.metadata["metavar"], help=explain)
    return parser
