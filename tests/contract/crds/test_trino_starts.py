"""What we write into /etc/trino, Trino starts with.

The sandbox's stand-in refuses a configuration in the way that the real server does: unknown keys, bad sizes, memory
that does not fit, a secret without its variable. It was written from Trino's documentation and
not from this code, which is what makes the comparison worth something.
"""

from pathlib import Path

import pytest

from crds.v1.connectors import render_catalog
from crds.v1.meta import parse
from crds.v1.shape import resolve
from crds.v1.xtrinode import SIZES, XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog
from sandbox.trino.configuration import load_configuration
from tests.support.catalogs import CONNECTORS

PASSWORD = {
    "server": {"config": {"authenticationType": "PASSWORD"}},
    "auth": {"passwordAuthSecret": "pw", "groups": "admins:ann"},
    "additionalConfigProperties": ["internal-communication.shared-secret=abcdef"],
}
SPECS = [
    *({"size": size} for size in SIZES),
    {"maxWorkers": 0},
    {"catalogSelector": {}},
    {"resources": {"worker": {"limits": {"memory": "700M"}}, "coordinator": {"limits": {"memory": "1Gi"}}}},
    {"limits": {"hardConcurrencyPerGroup": 2, "session": {"maxQueryMemory": "10GB", "maxTotalMemoryPerNode": "5GB"}}},
    {"faultTolerantExecution": {}},
    {"faultTolerantExecution": {"retryPolicy": "QUERY", "exchangeManager": {"enabled": False}}},
    {"keda": {"jmxExporter": {"enabled": True}}},
    {
        "helmChartConfig": {
            "worker": {"gracefulShutdown": {"enabled": True}},
            "accessControl": {
                "type": "configmap",
                "configFile": "r.json",
                "refreshPeriod": "1m",
                "rules": {"r.json": "{}"},
            },
        }
    },
    {"valuesOverlay": {"worker": {"additionalJVMConfig": ["-Xmx4G"]}}},
    {"valuesOverlay": {"sessionProperties": {"type": "configmap", "sessionPropertiesConfig": "[]"}}},
    {"valuesOverlay": {"additionalConfigProperties": ["query.max-run-time=1h", "query.max-memory=3GB"]}},
    {
        "valuesOverlay": PASSWORD,
        "trinoControlAuth": {"passwordSecret": {"name": "s", "key": "k"}},
    },
]


def start(role, files, environment=()):
    def open_file(path):
        if path == Path("/etc/trino/auth/password/password.db"):
            return b"ann:$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\n"
        return files[path.relative_to("/etc/trino").as_posix()]

    return load_configuration(
        files, dict.fromkeys(environment, "x"), physical_memory=role.resources.memory_bytes, open_file=open_file
    )


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_both_roles_start(spec):
    shape = resolve(parse(XTrinode, {"metadata": {"name": "a", "namespace": "b"}, "spec": {"size": "s", **spec}}))
    for role in (shape.coordinator, shape.worker):
        start(role, {file.path: file.content.encode() for file in role.files})


# A custom connector is one that the image has and the stand-in does not know.
@pytest.mark.parametrize("field", sorted(CONNECTORS.keys() - {"custom"}))
def test_every_catalog_is_accepted(field):
    catalog = parse(XTrinodeCatalog, {"metadata": {"name": "c"}, "spec": {"connector": {field: CONNECTORS[field][0]}}})
    rendered = render_catalog(catalog)
    role = resolve(parse(XTrinode, {"metadata": {"name": "a"}, "spec": {"size": "s"}})).coordinator
    files = {file.path: file.content.encode() for file in role.files}
    files[f"catalog/{rendered.file}"] = rendered.text().encode()
    configuration = start(role, files, [variable.env_name for variable in rendered.env])
    assert rendered.connector in {found.connector for found in configuration.catalogs}
