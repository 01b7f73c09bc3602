"""Everything in examples/ is what a user would start from: it is valid, and it means what it says.

Plan: every document parses strictly, has no validation errors and no warnings; the two manifests that users
bring along are byte for byte what they were; secrets named by catalogs are in the same file.
"""

from pathlib import Path

import pytest
import yaml

from crds.v1.connectors import render_catalog
from crds.v1.defaulting import default_xtrinode
from crds.v1.meta import parse, to_dict
from crds.v1.references import references
from crds.v1.routes import Backend, RuntimeRoute, fold
from crds.v1.shape import resolve
from crds.v1.validation import catalog_warnings, validate_catalog, validate_xtrinode, warnings_for
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog

EXAMPLES = Path(__file__).parents[3] / "examples"
DOCUMENTS = [
    pytest.param(document, id=f"{path.name}-{document['metadata']['name']}")
    for path in sorted(EXAMPLES.rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_example_is_valid_and_needs_no_warning(document):
    match document["kind"]:
        case "XTrinode":
            runtime = parse(XTrinode, document)
            assert validate_xtrinode(runtime) == []
            assert warnings_for(runtime) == []
            defaulted = parse(XTrinode, default_xtrinode(document))
            assert resolve(defaulted) == resolve(runtime)
        case "XTrinodeCatalog":
            catalog = parse(XTrinodeCatalog, document)
            assert validate_catalog(catalog) == []
            assert catalog_warnings(catalog) == []
            assert render_catalog(catalog).text().startswith("connector.name=")
        case kind:
            assert kind == "Secret"


def test_a_secret_that_an_example_names_is_in_the_same_file():
    for path in EXAMPLES.rglob("*.yaml"):
        documents = list(yaml.safe_load_all(path.read_text()))
        secrets = {d["metadata"]["name"]: d["stringData"] for d in documents if d["kind"] == "Secret"}
        for document in documents:
            if document["kind"] == "XTrinodeCatalog":
                for reference in references(parse(XTrinodeCatalog, document)):
                    assert reference.key in secrets[reference.name]


def test_manifests_that_users_bring_along_work_unchanged():
    first, second = (
        parse(XTrinode, yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())) for name in ("runtime-a", "analytics")
    )
    assert to_dict(first.spec) == {
        "size": "s",
        "minWorkers": 0,
        "maxWorkers": 2,
        "suspended": False,
        "routing": {"header": "X-Trino-XTrinode=team-a/runtime-a"},
    }
    assert to_dict(second.spec) == {
        "size": "m",
        "minWorkers": 0,
        "maxWorkers": 8,
        "suspended": False,
        "routing": {"hostnameDomain": "trino.example.com"},
    }
    shape = resolve(second)
    assert shape.routing.hostname == "team-a--analytics.trino.example.com"
    assert shape.builtin_catalogs == ("tpcds", "tpch")
    assert resolve(first).routing.header == "team-a/runtime-a"


def test_the_runtimes_of_all_examples_share_one_table_without_conflicts():
    entries = []
    for parameter in DOCUMENTS:
        document = parameter.values[0]
        if document["kind"] == "XTrinode":
            routing = resolve(parse(XTrinode, document)).routing
            meta = document["metadata"]
            backend = Backend(meta["namespace"], meta["name"], f"http://trino-{meta['name']}:8080")
            entries.append(
                RuntimeRoute(backend, routing.group, routing.shared, routing.header, routing.hostname, routing.default)
            )
    table = fold(entries)
    assert table.conflicts == ()
    shared = next(route for route in table.routes if route.hostname == "etl.trino.example.com")
    assert [backend.name for backend in shared.backends] == ["etl-1", "etl-2"]
