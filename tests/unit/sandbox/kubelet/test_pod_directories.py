"""A pod's files on disk: atomic updates through one link, private Secrets, trees of links, tidy removal."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from sandbox.kubelet.directories import PodDirectory, forget_strangers
from sandbox.kubelet.volumes import Content, File


def directory(tmp_path: Path) -> PodDirectory:
    made = PodDirectory(tmp_path, "uid-1")
    made.prepare()
    return made


def config(**files: str) -> Content:
    return Content({name.replace("_", "."): File(text.encode()) for name, text in files.items()})


def test_an_update_switches_all_files_at_once(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    assert pod.write_volume("v", config(a_txt="1", b_txt="1"))
    data = pod.volume("v") / "..data"
    before = data.resolve()
    with (pod.volume("v") / "a.txt").open() as opened:
        assert pod.write_volume("v", config(a_txt="2", c_txt="2"))
        assert opened.read() == "1"  # whoever has it open keeps the old one
    assert data.resolve() != before and not before.exists()
    assert sorted(path.name for path in pod.volume("v").glob("[!.]*")) == ["a.txt", "c.txt"]
    assert (pod.volume("v") / "a.txt").read_text() == "2"


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("v", config(a_txt="1"))
    before = (pod.volume("v") / "..data").readlink()
    assert not pod.write_volume("v", config(a_txt="1"))
    assert (pod.volume("v") / "..data").readlink() == before


def test_a_half_written_update_of_a_killed_kubelet_is_overcome(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("v", config(a_txt="1"))
    (pod.volume("v") / "..v2").mkdir()
    (pod.volume("v") / "..data_tmp").symlink_to("nowhere")
    pod.write_volume("v", config(a_txt="2"))
    assert (pod.volume("v") / "a.txt").read_text() == "2"
    assert not (pod.volume("v") / "..v2").exists()


def test_secret_files_and_their_directory_are_private(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("s", Content({"deep/key": File(b"x", 0o600)}, 0o700))
    for path, mode in ((pod.volume("s"), 0o700), (pod.volume("s") / "deep" / "key", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(pod.path.stat().st_mode) == 0o700


def root_of(pod: PodDirectory, *mounts: dict[str, Any]) -> Path:
    return pod.build_root({"name": "c", "volumeMounts": list(mounts)}, {"SUB": "inner"})


def test_the_tree_shows_volumes_and_follows_their_updates(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("config", config(node_properties="1"))
    pod.write_volume("catalogs", config(tpch_properties="x"))
    root = root_of(
        pod,
        {"name": "config", "mountPath": "/etc/trino"},
        {"name": "catalogs", "mountPath": "/etc/trino/catalog"},
    )
    pod.write_volume("catalogs", config(tpch_properties="y"))
    pod.write_volume("config", config(node_properties="2"))
    assert (root / "etc/trino/node.properties").read_text() == "2"
    assert (root / "etc/trino/catalog/tpch.properties").read_text() == "y"


def test_a_sub_path_keeps_its_content(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("config", config(rules_json="1"))
    root = root_of(pod, {"name": "config", "mountPath": "/etc/rules.json", "subPath": "rules.json"})
    pod.write_volume("config", config(rules_json="2"))
    assert (root / "etc/rules.json").read_text() == "1"


def test_an_empty_dir_is_shared_and_survives_a_container_restart(tmp_path: Path) -> None:
    pod = directory(tmp_path)
    pod.write_volume("scratch", Content({}, writable=True))
    mounts = {"name": "scratch", "mountPath": "/tmp/x", "subPathExpr": "$(SUB)"}
    (root_of(pod, mounts) / "tmp/x/file").write_text("kept")
    pod.write_volume("scratch", Content({}, writable=True))
    assert (root_of(pod, mounts) / "tmp/x/file").read_text() == "kept"
    assert (pod.volume("scratch") / "inner" / "file").exists()


def test_only_directories_of_known_pods_stay(tmp_path: Path) -> None:
    directory(tmp_path)
    PodDirectory(tmp_path, "uid-2").prepare()
    forget_strangers(tmp_path, {"uid-2"})
    assert [path.name for path in (tmp_path / "pods").iterdir()] == ["uid-2"]
