"""Bodies that kubectl sends as protobuf become the objects that JSON would have given; hostile bytes only errors."""

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.kube import protobuf
from sandbox.kube.protobuf import BadProtobuf, UnknownMessage, decode

# Recorded from kubectl 1.32: `create configmap`, `create pdb`, `create rolebinding`.
CONFIG_MAP = "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEiIKEQoBYRIAGgAiACoAMgA4AEIAEgYKAXgSATESBQoBeRIAGgAiAA=="
BUDGET = (
    "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggKBgoB"
    "YRIBYhoKCAAYACAAKAAwABoAIgA="
)
BINDING = (
    "azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtSb2xlQmluZGluZxKnAQoSCgJyYhIAGgAiACoAMgA4AEIAEiYKBFVz"
    "ZXISGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8aAXUiABInCgVHcm91cBIZcmJhYy5hdXRob3JpemF0aW9uLms4cy5pbxoBZyIAEhoK"
    "DlNlcnZpY2VBY2NvdW50EgAaAnNhIgJucxokChlyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvEgRSb2xlGgFyGgAiAA=="
)
RBAC = "rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (
            CONFIG_MAP,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": ""}},
        ),
        (
            BUDGET,
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "p"},
                "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}},
            },
        ),
        (
            BINDING,
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "rb"},
                "subjects": [
                    {"kind": "User", "apiGroup": RBAC, "name": "u"},
                    {"kind": "Group", "apiGroup": RBAC, "name": "g"},
                    {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"},
                ],
                "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"},
            },
        ),
    ],
)
def test_what_kubectl_sends_is_read(recorded, expected):
    decoded = decode(base64.b64decode(recorded))
    assert decoded.obj == expected and decoded.skipped == []


def varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def put(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def envelope(api_version, kind, raw):
    meta = put(1, api_version.encode()) + put(2, kind.encode())
    return protobuf.MAGIC + put(1, meta) + put(2, raw)


def encode(name, obj):
    """A writer from the same tables, to turn objects into what a client would send."""
    out = b""
    for number, field in protobuf._TYPES[name].items():
        if field.shape == "inline":
            out += put(number, encode(field.type, obj))
        elif field.name in obj:
            value = obj[field.name]
            if field.shape == "map":
                for key, item in value.items():
                    out += put(number, put(1, key.encode()) + put(2, scalar(field.type, item)))
            else:
                for item in value if field.shape == "list" else [value]:
                    out += put(number, scalar(field.type, item))
    return out


def scalar(kind, value):
    match kind:
        case "s":
            return value.encode()
        case "i" | "b":
            return int(value)
        case "B":
            return base64.b64decode(value)
        case "IntOrString":
            return put(1, 1) + put(3, value.encode()) if isinstance(value, str) else put(1, 0) + put(2, value)
        case "Quantity":
            return put(1, value.encode())
        case "ExtraValue":
            return b"".join(put(1, item.encode()) for item in value)
    return encode(kind, value)


def objects(name, depth=0):
    """Objects of one message, with all kinds of fields that JSON keeps."""
    fields = {}
    for field in protobuf._TYPES[name].values():
        if field.shape in ("ignore", "inline"):
            continue
        values = of_type(field.type, depth, keep_zero=field.keep_zero or field.shape != "one")
        if values is None:
            continue
        if field.shape == "map":
            values = st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=2)
        elif field.shape == "list":
            values = st.lists(values, min_size=1, max_size=2)
        fields[field.name] = values
    return st.fixed_dictionaries({}, optional=fields)


def of_type(kind, depth, *, keep_zero):
    match kind:
        case "s":
            return st.text(min_size=0 if keep_zero else 1, max_size=5)
        case "i":
            return st.integers(-(1 << 63), (1 << 63) - 1).filter(lambda value: keep_zero or value)
        case "b":
            return st.booleans() if keep_zero else st.just(True)
        case "B":
            return st.binary(min_size=0 if keep_zero else 1, max_size=5).map(lambda raw: base64.b64encode(raw).decode())
        case "IntOrString":
            return st.integers(1, 100) | st.text(min_size=1, max_size=3)
        case "Quantity":
            return st.sampled_from(["1", "100m", "2Gi"])
        case "ExtraValue":
            return st.lists(st.text(max_size=3), min_size=1, max_size=2)
        case "Time" | "MicroTime" | "FieldsV1" | "RawExtension":
            return None
    return objects(kind, depth + 1) if depth < 3 else None


KINDS = [(version, kind) for version, kinds in protobuf.KINDS.items() for kind in kinds.split()]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_every_kind_survives_the_wire(data, which):
    version, kind = which
    obj = data.draw(objects(kind))
    decoded = decode(envelope(version, kind, encode(kind, obj)))
    assert decoded.obj == {"apiVersion": version, "kind": kind, **obj}


def test_zeros_that_were_set_are_kept_and_others_are_not():
    decoded = decode(envelope("apps/v1", "DeleteOptions", put(1, 0) + put(3, 0) + put(4, b"")))
    assert decoded.obj["gracePeriodSeconds"] == 0 and decoded.obj["orphanDependents"] is False
    assert "propagationPolicy" not in decoded.obj


def test_times_are_written_as_json_writes_them():
    spec = put(4, put(1, 1893456000) + put(2, 123456789))
    lease = put(1, put(8, put(1, 1893456000))) + put(2, spec)
    obj = decode(envelope("coordination.k8s.io/v1", "Lease", lease)).obj
    assert obj["metadata"]["creationTimestamp"] == "2030-01-01T00:00:00Z"
    assert obj["spec"]["renewTime"] == "2030-01-01T00:00:00.123456Z"
    assert decode(envelope("v1", "Namespace", put(1, put(8, b"")))).obj["metadata"] == {}


def test_unknown_fields_are_skipped_and_said():
    decoded = decode(envelope("v1", "ConfigMap", put(1, put(99, b"x") + put(1, b"a")) + put(77, 3)))
    assert decoded.obj["metadata"] == {"name": "a"}
    assert decoded.skipped == ["metadata.99", "77"]


def test_unknown_kinds_are_named():
    with pytest.raises(UnknownMessage, match="apps/v1, Kind=DaemonSet"):
        decode(envelope("apps/v1", "DaemonSet", b""))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\x00\x0a",
        b"k8s\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"k8s\x00" + b"\x80" * 20,
        envelope("v1", "ConfigMap", put(1, 5)),
        envelope("v1", "ConfigMap", put(1, put(1, b"\xff"))),
        envelope("v1", "ConfigMap", b"\x0b"),
        envelope("v1", "Namespace", put(1, put(8, put(1, 1 << 62)))),
        envelope("coordination.k8s.io/v1", "Lease", put(2, put(4, put(2, 1 << 40)))),
    ],
)
def test_damaged_bodies_are_refused(body):
    with pytest.raises((BadProtobuf, UnknownMessage)):
        decode(body)


@given(st.binary(max_size=300), st.sampled_from(KINDS))
def test_any_bytes_are_an_object_or_an_error_of_ours(raw, which):
    for body in (raw, protobuf.MAGIC + raw, envelope(*which, raw)):
        try:
            assert isinstance(decode(body).obj, dict)
        except (BadProtobuf, UnknownMessage):
            continue


@given(st.integers(0, 300), st.binary(max_size=8))
def test_a_damaged_recording_is_an_object_or_an_error_of_ours(at, junk):
    body = base64.b64decode(BINDING)
    with contextlib.suppress(BadProtobuf, UnknownMessage):
        decode(body[:at] + junk + body[at + len(junk) :])
