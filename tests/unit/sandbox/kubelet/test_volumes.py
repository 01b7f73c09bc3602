"""Volumes and mounts: what they hold, where they appear, and that nobody escapes from them."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.environment import ConfigMissing, ConfigWrong
from sandbox.kubelet.volumes import (
    SECRET_DIR_MODE,
    SECRET_FILE_MODE,
    Place,
    VolumeUnsupported,
    absolute_path,
    content,
    places,
    referenced_objects,
    relative_path,
)

Object = dict[str, Any]
OBJECTS: dict[tuple[str, str], Object] = {
    ("ConfigMap", "conf"): {"metadata": {}, "data": {"a.txt": "A", "b.txt": "B"}},
    ("Secret", "key"): {"metadata": {}, "data": {"pass": base64.b64encode(b"s3cret").decode()}},
}
POD: Object = {"metadata": {"name": "p", "labels": {"b": "2", "a": "1"}}, "spec": {}}


def files(volume: Object) -> dict[str, bytes]:
    found = content(POD, volume, lambda kind, name: OBJECTS.get((kind, name)))
    return {name: file.data for name, file in found.files.items()}


def test_a_config_map_shows_its_keys_or_the_chosen_items() -> None:
    assert files({"configMap": {"name": "conf"}}) == {"a.txt": b"A", "b.txt": b"B"}
    items = [{"key": "a.txt", "path": "deep/er.txt"}]
    assert files({"configMap": {"name": "conf", "items": items}}) == {"deep/er.txt": b"A"}


def test_secrets_are_private() -> None:
    found = content(POD, {"secret": {"secretName": "key"}}, lambda kind, name: OBJECTS.get((kind, name)))
    assert (found.dir_mode, found.files["pass"].mode) == (SECRET_DIR_MODE, SECRET_FILE_MODE)


def test_projected_volumes_merge_their_sources() -> None:
    sources = [
        {"configMap": {"name": "conf"}},
        {"secret": {"name": "key"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"configMap": {"name": "gone", "optional": True}},
    ]
    assert files({"projected": {"sources": sources}}) == {
        "a.txt": b"A",
        "b.txt": b"B",
        "pass": b"s3cret",
        "labels": b'a="1"\nb="2"',
    }


@pytest.mark.parametrize(
    "volume",
    [
        {"configMap": {"name": "gone"}},
        {"secret": {"secretName": "gone"}},
        {"configMap": {"name": "conf", "items": [{"key": "gone", "path": "x"}]}},
    ],
)
def test_missing_sources_are_named(volume: Object) -> None:
    with pytest.raises(ConfigMissing, match="gone"):
        files(volume)


def test_optional_sources_may_be_missing() -> None:
    assert files({"configMap": {"name": "gone", "optional": True}}) == {}


@pytest.mark.parametrize("kind", ["hostPath", "persistentVolumeClaim", "csi"])
def test_kinds_that_do_not_exist_here_say_what_does(kind: str) -> None:
    with pytest.raises(VolumeUnsupported, match=f"{kind}.*use emptyDir"):
        files({"name": "v", kind: {}})


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", ".", "..data", "..v1/x", "a\0b"])
def test_paths_that_leave_the_volume_are_refused(path: str) -> None:
    with pytest.raises(ConfigWrong):
        relative_path(path)
    with pytest.raises(ConfigWrong):
        files({"configMap": {"name": "conf", "items": [{"key": "a.txt", "path": path}]}})


@given(st.text(alphabet="./a", max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    for accept, text in ((relative_path, path), (absolute_path, "/" + path)):
        try:
            found = PurePosixPath(str(accept(text)))
        except ConfigWrong:
            continue
        assert ".." not in found.parts and not found.is_absolute()


def test_every_named_object_is_listed_once() -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "conf"}},
        {"name": "b", "secret": {"secretName": "key"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "other"}}, {"configMap": {"name": "conf"}}]}},
    ]
    assert referenced_objects({"spec": {"volumes": volumes}}) == {
        ("ConfigMap", "conf"),
        ("Secret", "key"),
        ("Secret", "other"),
    }


def tree(mounts: list[Object]) -> dict[str, tuple[str, str] | None]:
    entries = {("config", ""): ["node.properties", "catalog"], ("catalogs", ""): ["tpch.properties"]}
    found = places(mounts, lambda volume, inside: entries.get((volume, inside), []))
    return {str(item.path): (item.volume, item.inside) if item.volume else None for item in found}


def test_a_mount_is_a_link_to_its_volume() -> None:
    assert tree([{"name": "config", "mountPath": "/etc/trino"}]) == {"etc": None, "etc/trino": ("config", "")}


def test_a_mount_inside_another_turns_the_outer_one_into_links() -> None:
    mounts = [
        {"name": "catalogs", "mountPath": "/etc/trino/catalog"},
        {"name": "config", "mountPath": "/etc/trino"},
        {"name": "rules", "mountPath": "/etc/trino/rules.json", "subPath": "rules.json"},
    ]
    assert tree(mounts) == {
        "etc": None,
        "etc/trino": None,
        "etc/trino/node.properties": ("config", "node.properties"),
        "etc/trino/catalog": ("catalogs", ""),
        "etc/trino/rules.json": ("rules", "rules.json"),
    }


def test_sub_paths_are_pinned_to_what_they_hold_at_the_start() -> None:
    (_, found) = places([{"name": "config", "mountPath": "/etc/x", "subPath": "x"}], lambda *_: [])
    assert found == Place(PurePosixPath("etc/x"), "config", "x", pinned=True)
