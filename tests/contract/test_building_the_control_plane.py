"""tools/build-controlplane: what it builds, when it does not, and what it says, with a Go that builds in no time.

Plan: everything once; never a half-built one; two at once; other modules; no Go, an old Go, a failing Go; binaries of
one's own, all of them and some.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVERS = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
BINARIES = SERVERS | {"helm"}
# Writes down what it built; an `-o` is what makes it a build. $BROKEN names a binary that it cannot build.
GO = """#!/bin/sh
case "$1" in
  version) echo "go version go$GO_IS linux/amd64"; exit;;
  env) echo "https://proxy.example"; exit;;
esac
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n' > "$2"
name=$(basename "$2" .part); name=${name#.}
[ "$name" != "$BROKEN" ] || { echo "no such host" >&2; exit 1; }
chmod +x "$2"
echo "$name" >> "$BUILT"
"""


class Workshop:
    """A copy of the tool with an empty cache and a Go of its own."""

    def __init__(self, directory: Path) -> None:
        self.cache, self.tools, self.built = directory / "cache", directory / "tools", directory / "built"
        self.built.touch()
        for family in ("controlplane", "kwok", "helm"):
            shutil.copytree(ROOT / "tools" / family, self.tools / family)
        shutil.copy(ROOT / "tools" / "build-controlplane", self.tools)
        self.path = directory / "bin"
        self.path.mkdir()
        (self.path / "go").write_text(GO)
        (self.path / "go").chmod(0o755)
        self.environment = {
            "PATH": f"{self.path}:/usr/bin:/bin",
            "HOME": str(directory / "home"),
            "XDG_CACHE_HOME": str(self.cache),
            "BUILT": str(self.built),
            "BROKEN": "",
            "GO_IS": "1.99.1",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.tools / "build-controlplane"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        process = self.start(*arguments, **environment)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out.strip(), errors.strip()

    def built_so_far(self) -> list[str]:
        return sorted(self.built.read_text().split())


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_everything_is_built_once_into_the_cache(workshop: Workshop):
    assert workshop.run("--where")[:2] == (0, "")
    code, where, _ = workshop.run()
    assert code == 0
    assert Path(where).is_relative_to(workshop.cache / "xtrinode" / "controlplane")
    assert {path.name for path in Path(where).iterdir() if os.access(path, os.X_OK)} == BINARIES
    assert workshop.run() == (0, where, "")
    assert workshop.run("--where") == (0, where, "")
    assert workshop.built_so_far() == sorted(BINARIES)


def test_an_interrupted_build_is_not_believed_and_is_gone_on_with(workshop: Workshop):
    code, out, errors = workshop.run(BROKEN="kube-scheduler")
    assert (code, out) == (1, "")
    assert "no such host" in errors
    assert "could not build kube-scheduler" in errors
    assert "https://proxy.example" in errors
    assert workshop.run("--where")[1] == ""
    assert workshop.run()[0] == 0
    assert workshop.built_so_far() == sorted(BINARIES), "none of them twice"


def test_two_builds_at_once_do_the_work_once(workshop: Workshop):
    both = [workshop.start() for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert said[0] == said[1] != ""
    assert workshop.built_so_far() == sorted(BINARIES)


def test_other_modules_are_built_anew_and_beside(workshop: Workshop):
    before = workshop.run()[1]
    modules = workshop.tools / "controlplane" / "go.mod"
    modules.write_text(modules.read_text().replace("go.etcd.io/etcd/server/v3 v3.", "go.etcd.io/etcd/server/v3 v3.9"))
    assert workshop.run("--where")[1] == ""
    after = workshop.run()[1]
    assert after != before
    assert Path(before, "etcd").exists()


def test_without_go_it_says_what_to_do(workshop: Workshop):
    (workshop.path / "go").unlink()
    code, out, errors = workshop.run(PATH=_without_go(workshop.path))
    assert (code, out) == (1, "")
    assert "go.dev/dl" in errors
    assert "KUBEBUILDER_ASSETS" in errors


def _without_go(folder: Path) -> str:
    """A PATH with what the tool needs and no Go, wherever that is installed."""
    for name in ("bash", "dirname", "cat", "sha256sum", "cut", "sed", "sort", "tail", "head", "grep", "env"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


def test_a_go_that_is_too_old_is_named(workshop: Workshop):
    wanted = max(re.findall(r"^go ([\d.]+)$", "\n".join(map(_read, workshop.tools.glob("*/go.mod"))), re.MULTILINE))
    code, _, errors = workshop.run(GO_IS="1.9.7")
    assert code == 1
    assert f"needs Go {wanted} or newer" in errors
    assert "go1.9.7" in errors
    assert workshop.built_so_far() == []


def _read(path: Path) -> str:
    return path.read_text()


def test_ones_own_binaries_win_when_they_are_all_there(workshop: Workshop):
    own = workshop.cache / "own"
    own.mkdir(parents=True)
    for name in SERVERS:
        (own / name).touch(0o755)
    for arguments in ((), ("--where",)):
        assert workshop.run(*arguments, KUBEBUILDER_ASSETS=str(own)) == (0, str(own), "")
    (own / "kwok").unlink()
    code, out, errors = workshop.run(KUBEBUILDER_ASSETS=str(own))
    assert (code, out) == (1, "")
    assert f"KUBEBUILDER_ASSETS={own} has no kwok" in errors
    code, out, errors = workshop.run("--where", KUBEBUILDER_ASSETS=str(own))
    assert (code, out) == (0, ""), "tests skip, and say why"
    assert "has no kwok" in errors


def test_wrong_arguments_are_refused(workshop: Workshop):
    code, _, errors = workshop.run("--were")
    assert code == 1
    assert "--were" in errors
