"""Request paths, JSONPath, ages and rows: small parsers of what people write, each against any text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.ages import age_text
from sandbox.kube import paths, printing, rows
from sandbox.kube.jsonpath import BadPath, JSONPath
from sandbox.kube.paths import Target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/a", Target("", "v1", "namespaces", "a", "a")),
        ("/api/v1/namespaces/a/status", Target("", "v1", "namespaces", "a", "a", "status")),
        ("/api/v1/namespaces/a/pods/b", Target("", "v1", "pods", "a", "b")),
        ("/api/v1/namespaces/a/pods/b/log", Target("", "v1", "pods", "a", "b", "log")),
        ("/api/v1/nodes/n/proxy/x/y", Target("", "v1", "nodes", "", "n", "proxy", "x/y")),
        ("/apis/apps/v1/deployments/", Target("apps", "v1", "deployments")),
        ("/apis/e.io/v1/namespaces/a/widgets/w/scale", Target("e.io", "v1", "widgets", "a", "w", "scale")),
        ("/apis/e.io/v1/watch/namespaces/a/widgets", Target("e.io", "v1", "widgets", "a", watch=True)),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aadmin",
            Target("rbac.authorization.k8s.io", "v1", "clusterroles", "", "system:admin"),
        ),
    ],
)
def test_what_a_path_points_at(path: str, target: Target) -> None:
    assert paths.parse(path) == target


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/api/v1//pods"])
def test_other_paths_are_not_the_api(path: str) -> None:
    assert paths.parse(path) is None


@given(st.text("/apisvnmeo1%2 \u00e9", max_size=40))
def test_any_path_is_read(path: str) -> None:
    target = paths.parse("/" + path)
    assert target is None or target.plural


def test_verbs_follow_method_and_path() -> None:
    one, many = Target("", "v1", "pods", "a", "b"), Target("", "v1", "pods", "a")
    assert [paths.verb(method, one, {}) for method in ("GET", "PUT", "PATCH", "DELETE")] == [
        "get",
        "update",
        "patch",
        "delete",
    ]
    assert [paths.verb(method, many, {}) for method in ("GET", "POST", "DELETE")] == [
        "list",
        "create",
        "deletecollection",
    ]
    assert paths.verb("GET", many, {"watch": "1"}) == "watch" and paths.verb("GET", many, {"watch": "false"}) == "list"


OBJECT = {
    "metadata": {"name": "x", "labels": {"app.kubernetes.io/name": "n"}},
    "spec": {"list": [{"type": "Ready", "status": "True"}, {"type": "Live", "status": "False"}], "on": True},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".metadata.name", ["x"]),
        ("metadata.name", ["x"]),
        ("{.metadata.name}", ["x"]),
        (r".metadata.labels.app\.kubernetes\.io/name", ["n"]),
        (".metadata.labels['app.kubernetes.io/name']", ["n"]),
        (".spec.list[0].type", ["Ready"]),
        (".spec.list[-1].type", ["Live"]),
        (".spec.list[*].type", ["Ready", "Live"]),
        ('.spec.list[?(@.type=="Live")].status', ["False"]),
        (".spec.list[?(@.type!='Live')].status", ["True"]),
        (".spec.nothing.here", []),
        (".spec.list[7]", []),
    ],
)
def test_json_paths(text: str, found: list[Any]) -> None:
    assert JSONPath(text).find(OBJECT) == found


@given(st.text(".[]*?()@='\"$ab\\0-1", max_size=25) | st.text(max_size=15))
def test_any_json_path_is_read_or_refused(text: str) -> None:
    try:
        found = JSONPath(text).find(OBJECT)
    except BadPath:
        return
    assert isinstance(found, list)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (599, "9m59s"),
        (600, "10m"),
        (3600 * 3 - 1, "179m"),
        (3600 * 3, "3h"),
        (3600 * 8 - 1, "7h59m"),
        (3600 * 47, "47h"),
        (86400 * 2, "2d"),
        (86400 * 8 - 1, "7d23h"),
        (86400 * 729, "729d"),
        (86400 * (365 * 2 + 70), "2y70d"),
        (86400 * 365 * 9, "9y"),
        (-5, "<invalid>"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert age_text(seconds) == text


def test_an_age_that_is_none() -> None:
    assert [printing.age(stamp, 0.0) for stamp in (None, "", "yesterday", 7)] == ["<unknown>"] * 4


objects = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["spec", "status", "type", "a"]), below, max_size=3)
    ),
    max_leaves=8,
)


@given(objects, st.sampled_from(["string", "integer", "number", "boolean", "date"]))
def test_any_value_fits_a_printer_column(value: Any, kind: str) -> None:
    _, cells = printing.printer_cells([{"name": "C", "type": kind, "jsonPath": ".spec"}])
    row = cells({"metadata": {"name": "x"}, "spec": value}, 0.0)
    assert row[0] == "x" and (row[1] is None or isinstance(row[1], (str, int, float, bool)))


def test_a_pod_row() -> None:
    pod = {
        "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"},
        "status": {
            "phase": "Running",
            "podIP": "127.64.0.1",
            "containerStatuses": [
                {"ready": True, "restartCount": 0, "state": {"running": {}}},
                {
                    "ready": False,
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"finishedAt": "1970-01-01T00:01:00Z"}},
                },
            ],
        },
    }
    _, cells = rows.ROWS["Pod"]
    assert cells(pod, 100.0)[:7] == ["p", "1/2", "CrashLoopBackOff", "3 (40s ago)", "100s", "127.64.0.1", "n"]
    pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:02:00Z"
    assert cells(pod, 100.0)[2] == "Terminating"


@pytest.mark.parametrize("kind", sorted(rows.ROWS))
def test_every_row_fits_its_columns_also_for_a_bare_object(kind: str) -> None:
    columns, cells = rows.ROWS[kind]
    assert len(cells({"metadata": {"name": "x"}}, 0.0)) == len(columns)
