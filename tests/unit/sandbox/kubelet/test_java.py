"""Which Java a real Trino server gets: JAVA_HOME, then PATH; too old or absent is refused with what to set."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.java import JavaMissing, class_release, find_java, java_for, needed_by, release_of

CLASS_OF_24 = b"\xca\xfe\xba\xbe\x00\x00\x00\x44"


def java(directory: Path, release: str) -> Path:
    (directory / "bin").mkdir(parents=True)
    program = directory / "bin" / "java"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (directory / "release").write_text(release)
    return directory


def server(directory: Path, head: bytes = CLASS_OF_24) -> Path:
    (directory / "lib").mkdir(parents=True)
    with zipfile.ZipFile(directory / "lib" / "io.trino_trino-main-476.jar", "w") as archive:
        archive.writestr("io/trino/server/Server.class", head)
    return directory


def test_java_home_wins_over_the_path(tmp_path: Path) -> None:
    named, other = java(tmp_path / "a", ""), java(tmp_path / "b", "")
    environment = {"JAVA_HOME": str(named), "PATH": str(other / "bin")}
    assert find_java(environment) == named
    assert find_java({"PATH": environment["PATH"]}) == other


def test_a_java_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match=r"JAVA_HOME=.*/gone holds no bin/java"):
        find_java({"JAVA_HOME": str(tmp_path / "gone")})
    with pytest.raises(JavaMissing, match="none on PATH"):
        find_java({"PATH": str(tmp_path)})


def test_a_java_that_is_too_old_is_refused_before_any_pod_starts(tmp_path: Path) -> None:
    old = java(tmp_path / "java", 'IMPLEMENTOR="x"\nJAVA_VERSION="17.0.15"\n')
    with pytest.raises(JavaMissing, match=r"needs Java 24 or newer, and .* is Java 17; set JAVA_HOME"):
        java_for(server(tmp_path / "trino"), {"JAVA_HOME": str(old)})


@pytest.mark.parametrize("release", ['JAVA_VERSION="25.0.3"', 'JAVA_VERSION="24"', "nothing", ""])
def test_one_that_is_new_enough_or_does_not_say_is_taken(tmp_path: Path, release: str) -> None:
    found = java(tmp_path / "java", release)
    assert java_for(server(tmp_path / "trino"), {"JAVA_HOME": str(found)}) == found


def test_old_java_wrote_its_version_in_another_way(tmp_path: Path) -> None:
    assert release_of(java(tmp_path / "java", 'JAVA_VERSION="1.8.0_402"')) == 8


def test_an_installation_without_readable_classes_needs_nothing(tmp_path: Path) -> None:
    assert needed_by(tmp_path) is None
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "io.trino_trino-main-1.jar").write_bytes(b"no archive")
    assert needed_by(tmp_path) is None


@given(st.binary(max_size=12))
def test_any_bytes_are_a_class_file_s_head_or_none(head: bytes) -> None:
    found = class_release(head)
    assert found is None or (head[:4] == CLASS_OF_24[:4] and 0 < found < 65536)
