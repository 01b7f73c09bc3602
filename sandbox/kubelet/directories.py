"""A pod's files: its volumes, and one tree of links per container that looks like the container's file system.

    <data>/pods/<uid>/volumes/<volume>/           what the volume shows
    <data>/pods/<uid>/containers/<name>/root/...  links into the volumes at the mount paths
    <data>/pods/<uid>/containers/<name>/logs/     one file per run

Volumes that show ConfigMaps and Secrets are updated the way Kubernetes does it: the files lie in a directory
of their own, `..data` is a link to it, and one rename of that link switches all files at once. Called by the
pod's worker only; what the files contain is decided elsewhere. Nothing here leaves the pod's directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.kubelet.environment import expand
from sandbox.kubelet.volumes import Content, File, places

_DATA = "..data"


class PodDirectory:
    """The directory of one pod; made private to the user."""

    def __init__(self, data_dir: Path, uid: str) -> None:
        self.path = data_dir / "pods" / uid
        self._writable: set[str] = set()

    def prepare(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def volume(self, name: str) -> Path:
        return self.path / "volumes" / name

    def root(self, container: str) -> Path:
        return self.path / "containers" / container / "root"

    def logs(self, container: str) -> Path:
        return self.path / "containers" / container / "logs"

    def write_volume(self, name: str, content: Content) -> bool:
        """Bring a volume's files up to date; says whether anything changed."""
        directory = self.volume(name)
        if content.writable:
            self._writable.add(name)
            existed = directory.exists()
            directory.mkdir(parents=True, exist_ok=True)
            return not existed
        directory.mkdir(parents=True, exist_ok=True, mode=content.dir_mode)
        directory.chmod(content.dir_mode)
        link = directory / _DATA
        if link.is_symlink() and _holds(link, content.files):
            return False
        current = link.readlink().name if link.is_symlink() else ""
        fresh = _fresh_name(directory, current)
        _write_files(directory / fresh, content)
        swap = directory / "..data_tmp"
        swap.unlink(missing_ok=True)
        swap.symlink_to(fresh)
        swap.replace(link)
        _link_entries(directory, content.files)
        for entry in directory.iterdir():
            if entry.name.startswith("..v") and entry.name != fresh:
                shutil.rmtree(entry, ignore_errors=True)
        return True

    def build_root(self, container: Mapping[str, Any], environment: Mapping[str, str]) -> Path:
        """Make the container's tree anew and return its root."""
        root = self.root(str(container.get("name")))
        if root.exists():
            shutil.rmtree(root)
        root.mkdir(parents=True)
        mounts = [mount for mount in container.get("volumeMounts") or [] if mount.get("mountPath")]
        for place in places(mounts, self._top_entries, environment, expand):
            target = root / place.path
            if place.volume is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            source = self.volume(place.volume)
            if place.inside:
                source = source / place.inside
                if place.volume in self._writable and not source.exists():
                    source.mkdir(parents=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            if place.pinned and place.volume not in self._writable:
                _copy(source, target)
            else:
                target.symlink_to(source)
        return root

    def _top_entries(self, volume: str, inside: str) -> Sequence[str]:
        directory = self.volume(volume) / inside if inside else self.volume(volume)
        if not directory.is_dir():
            return ()
        return sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith(".."))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy(source, target)
    else:
        target.mkdir()  # what a container runtime does for a subPath that is not there


def _fresh_name(directory: Path, current: str) -> str:
    numbers = [
        int(entry.name.removeprefix("..v"))
        for entry in directory.iterdir()
        if entry.name.startswith("..v") and entry.name.removeprefix("..v").isdigit()
    ]
    number = max([*numbers, int(current.removeprefix("..v") or 0) if current else 0], default=0) + 1
    return f"..v{number}"


def _write_files(directory: Path, content: Content) -> None:
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=content.dir_mode)
    for name, file in content.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=content.dir_mode)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode)
        with os.fdopen(descriptor, "wb") as output:
            output.write(file.data)
        path.chmod(file.mode)  # whatever the umask


def _link_entries(directory: Path, files: Mapping[str, File]) -> None:
    """One link per top-level name, through `..data`, and none for names that are gone."""
    wanted = {name.split("/", 1)[0] for name in files}
    for entry in directory.iterdir():
        if entry.is_symlink() and entry.name != _DATA and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")


def _holds(directory: Path, files: Mapping[str, File]) -> bool:
    """Whether the directory holds exactly these files."""
    found: set[str] = set()
    for base, _, names in os.walk(directory):
        for name in names:
            path = Path(base) / name
            relative = str(path.relative_to(directory))
            file = files.get(relative)
            if file is None or path.read_bytes() != file.data:
                return False
            found.add(relative)
    return len(found) == len(files)


def forget_strangers(data_dir: Path, known: set[str]) -> None:
    """Remove the directories of pods that exist no more."""
    pods = data_dir / "pods"
    if pods.is_dir():
        for entry in pods.iterdir():
            if entry.name not in known:
                shutil.rmtree(entry, ignore_errors=True)
