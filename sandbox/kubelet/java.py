"""Which Java runs a real Trino server, and whether it is new enough.

Called once, when the kubelet starts with `--trino-home`. An image brings its Java along; an installation on this
machine uses what JAVA_HOME names, else the `java` on PATH. Every Trino needs a Java of its own time, and an older
one fails in each pod with a message about some flag, so the two are compared here: the server's by the version
of its class files, Java's by its `release` file. What cannot be read is not judged.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

_VERSION = re.compile(r'^JAVA_VERSION="?(?:1\.)?(\d+)', re.MULTILINE)
_SERVER_CLASS = "io/trino/server/Server.class"
_SERVER_JARS = "lib/io.trino_trino-main-*.jar"
# A class file of version 45 is Java 1's, one of version 68 Java 24's.
_BEFORE_FIRST = 44
_MAGIC = b"\xca\xfe\xba\xbe"


class JavaMissing(ValueError):
    """No Java, or none that is new enough; the message says what to set."""


def java_for(home: Path, environment: Mapping[str, str]) -> Path:
    """The Java installation for the Trino server in `home`."""
    found = find_java(environment)
    needed, has = needed_by(home), release_of(found)
    if needed is not None and has is not None and has < needed:
        raise JavaMissing(
            f"the Trino server in {home} needs Java {needed} or newer, and {found} is Java {has}; "
            "set JAVA_HOME to a newer one"
        )
    return found


def find_java(environment: Mapping[str, str]) -> Path:
    """The directory above bin/java."""
    named = environment.get("JAVA_HOME")
    if named:
        home = Path(named)
        if not (home / "bin" / "java").exists():
            raise JavaMissing(f"JAVA_HOME={named} holds no bin/java; set it to the directory of a Java installation")
        return home.resolve()
    program = shutil.which("java", path=environment.get("PATH"))
    if program is None:
        raise JavaMissing("a real Trino server needs Java, and there is none on PATH; install one or set JAVA_HOME")
    return Path(program).resolve().parents[1]


def release_of(java: Path) -> int | None:
    """The feature release of an installation: 25 of 25.0.3. None where it does not say."""
    try:
        match = _VERSION.search((java / "release").read_text(errors="replace"))
    except OSError:
        return None
    return int(match[1]) if match else None


def needed_by(home: Path) -> int | None:
    """The Java release that the server's classes were compiled for, or None where there are none to read."""
    for jar in sorted(home.glob(_SERVER_JARS)):
        try:
            with zipfile.ZipFile(jar) as archive, archive.open(_SERVER_CLASS) as stream:
                return class_release(stream.read(8))
        except (OSError, KeyError, zipfile.BadZipFile):
            continue
    return None


def class_release(head: bytes) -> int | None:
    """The Java release of a class file, from its first eight bytes."""
    if len(head) < 8 or not head.startswith(_MAGIC):
        return None
    release = int.from_bytes(head[6:8], "big") - _BEFORE_FIRST
    return release if release > 0 else None
