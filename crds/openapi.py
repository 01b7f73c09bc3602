"""The CustomResourceDefinitions, made from the types: `python -m crds.openapi [--check]`.

Writes `crds/manifests/*.yaml`, which are committed and shipped; `--check` writes nothing and fails when
a file is not what the types say. The field docs become `kubectl explain`, the bounds and enumerations
become the structural schema, and what several fields may be together becomes CEL where CEL can say it,
so that a cluster without the webhook still refuses most of what is wrong. Every rule here has a twin in
`crds.v1.validation`, which remains the whole truth.

The output is a structural schema as the API server demands: no references, every node has a type (or is
an int-or-string, or keeps unknown fields), and no map beside named properties. CEL uses the core
functions only, and everything that a rule walks over is bounded.

YAML is written by hand here: the contract imports no YAML library, and equal types must be equal bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from crds.v1 import chart_config as chart
from crds.v1 import fields as shared
from crds.v1 import meta, names
from crds.v1 import xtrinode as runtime
from crds.v1 import xtrinodecatalog as catalog
from crds.v1.defaulting import WRITTEN_DEFAULTS

MANIFESTS = Path(__file__).with_name("manifests")
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of an object."""

    rule: str
    message: str
    path: str | None = None
    """The field that the error points at, such as `.minWorkers`."""

    def to_schema(self) -> Schema:
        made: Schema = {"rule": self.rule, "message": self.message}
        if self.path:
            made["fieldPath"] = self.path
        return made


def _same_connector() -> Rule:
    terms = (info.alias or name for name, info in catalog.ConnectorChoice.model_fields.items())
    return Rule(
        " && ".join(f"has(self.{term}) == has(oldSelf.{term})" for term in terms),
        "the connector cannot be changed; make a new XTrinodeCatalog and delete this one",
    )


#: KEDA does not scale the workers, as `scaling.keda_active` says it. Here because `kubectl scale` asks no webhook.
_KEDA_TOLD = " || ".join(
    f"has(self.keda.{name})"
    for name in ("scalerType", "scalingMetric", "prometheusServer", "prometheusQuery", "httpEndpoint")
)
_KEDA_IS_OFF = f"!has(self.keda) || !has(self.keda.enabled) || !self.keda.enabled || !({_KEDA_TOLD})"

#: Model -> rules of its schema.
RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    runtime.XTrinode: (
        Rule(
            f"self.metadata.name.size() <= {names.MAX_RUNTIME_NAME}",
            f"metadata.name may have {names.MAX_RUNTIME_NAME} characters, so that names made from it fit into 63",
        ),
        Rule(
            "!self.metadata.name.contains('.')",
            "metadata.name must hold no dot: Services are named after it",
        ),
    ),
    runtime.XTrinodeSpec: (
        Rule(
            "!has(self.maxWorkers) || !has(self.minWorkers) || self.minWorkers <= self.maxWorkers",
            "minWorkers must not be greater than maxWorkers",
            ".minWorkers",
        ),
        Rule(
            "!has(self.maxWorkers) || !has(self.wakeMinWorkers) || self.wakeMinWorkers <= self.maxWorkers",
            "wakeMinWorkers must not be greater than maxWorkers",
            ".wakeMinWorkers",
        ),
        Rule(
            f"{_KEDA_IS_OFF} || !has(self.maxWorkers) || self.maxWorkers >= 1",
            "maxWorkers must be at least 1 when KEDA scales the workers",
            ".maxWorkers",
        ),
        Rule(
            "!has(self.limits) || !has(self.resourceGroupsProfile)"
            " || !(has(self.limits.hardConcurrencyPerGroup) || has(self.limits.maxQueuedPerGroup))",
            "limits.hardConcurrencyPerGroup and maxQueuedPerGroup cannot be combined with resourceGroupsProfile",
            ".limits",
        ),
    ),
    runtime.Routing: (
        Rule(
            "!(has(self.hostname) && has(self.hostnameDomain))",
            "set either hostname or hostnameDomain",
            ".hostnameDomain",
        ),
    ),
    runtime.FaultTolerantExecution: (
        Rule(
            "(has(self.retryPolicy) && self.retryPolicy == 'QUERY') || !has(self.exchangeManager)"
            " || !has(self.exchangeManager.enabled) || self.exchangeManager.enabled",
            "retryPolicy TASK needs an exchange; use QUERY without",
            ".exchangeManager",
        ),
    ),
    chart.AccessControl: (
        Rule(
            "self.type != 'configmap' || (has(self.configFile) && has(self.rules) && self.configFile in self.rules)",
            "type configmap needs configFile, the name of one of rules",
            ".configFile",
        ),
        Rule(
            "self.type != 'properties' || (has(self.properties) && self.properties.size() > 0)",
            "type properties needs the lines of access-control.properties",
            ".properties",
        ),
    ),
    chart.IngressConfig: (
        Rule(
            "!has(self.enabled) || !self.enabled || (has(self.hosts) && self.hosts.size() > 0)",
            "an enabled ingress needs at least one host",
            ".hosts",
        ),
    ),
    shared.LabelSelectorRequirement: (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need values; Exists and DoesNotExist have none",
            ".values",
        ),
    ),
    catalog.ConnectorChoice: (_same_connector(),),
    catalog.Custom: (
        Rule(
            "self.connectorName == oldSelf.connectorName",
            "the connector cannot be changed; make a new XTrinodeCatalog and delete this one",
            ".connectorName",
        ),
    ),
    catalog.Hive: (
        Rule(
            "has(self.s3AccessKeySecret) == has(self.s3SecretKeySecret)",
            "access key and secret key belong together",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One CustomResourceDefinition."""

    model: type[BaseModel]
    plural: str
    short: str
    columns: tuple[Schema, ...]
    scale: Schema | None = None

    @property
    def name(self) -> str:
        return self.model.__name__

    @property
    def file(self) -> str:
        return f"{meta.GROUP}_{self.plural}.yaml"


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False, doc: str = "") -> Schema:
    made: Schema = {"name": name, "type": kind, "jsonPath": path}
    if doc:
        made["description"] = doc
    if wide:
        made["priority"] = 1
    return made


_READY = '.status.conditions[?(@.type=="Ready")].status'
_AGE = _column("Age", ".metadata.creationTimestamp", "date")
KINDS = (
    Kind(
        runtime.XTrinode,
        "xtrinodes",
        "tn",
        (
            _column("Size", ".spec.size"),
            _column("Phase", ".status.phase"),
            _column("Workers", ".status.workers", "integer", doc="Ready workers."),
            _column("Ready", _READY),
            _column("Coordinator URL", ".status.coordinatorURL", wide=True),
            _column("Suspended", ".spec.suspended", "boolean", wide=True, doc="Whether the spec wants it to sleep."),
            _column("Message", ".status.message", wide=True),
            _AGE,
        ),
        # The number that a person sets: `kubectl scale tn/analytics --replicas=4`.
        {
            "specReplicasPath": ".spec.maxWorkers",
            "statusReplicasPath": ".status.workers",
            "labelSelectorPath": ".status.selector",
        },
    ),
    Kind(
        catalog.XTrinodeCatalog,
        "xtrinodecatalogs",
        "tnc",
        (
            _column("Connector", ".status.connector"),
            _column("Phase", ".status.phase"),
            _column("ConfigMap", ".status.configMapName"),
            _column("Message", ".status.message", wide=True),
            _AGE,
        ),
    ),
)


def definition(kind: Kind) -> Schema:
    """The whole CustomResourceDefinition of a kind."""
    subresources: Schema = {"status": {}}
    if kind.scale:
        subresources["scale"] = kind.scale
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{meta.GROUP}"},
        "spec": {
            "group": meta.GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["trino", "xtrinode"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": meta.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema(kind.model)},
                    "subresources": subresources,
                    "additionalPrinterColumns": list(kind.columns),
                }
            ],
        },
    }


def schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a kind."""
    raw = model.model_json_schema(by_alias=True)
    definitions = raw.pop("$defs", {})
    del raw["properties"]["metadata"]  # the API server's own
    by_name = {cls.__name__: rules for cls, rules in RULES.items()}
    root = _Converter(definitions, by_name).convert(raw)
    root["properties"]["apiVersion"] = {"type": "string", "description": f"Always {meta.API_VERSION}."}
    root["properties"]["kind"] = {"type": "string", "description": f"Always {model.__name__}."}
    root["properties"]["metadata"] = {"type": "object"}
    root["required"] = ["spec"]
    root["x-kubernetes-validations"] = [rule.to_schema() for rule in RULES.get(model, ())]
    if not root["x-kubernetes-validations"]:
        del root["x-kubernetes-validations"]
    for name in WRITTEN_DEFAULTS if model is runtime.XTrinode else ():
        info = next(i for n, i in runtime.XTrinodeSpec.model_fields.items() if (i.alias or n) == name)
        root["properties"]["spec"]["properties"][name]["default"] = info.default
    return root


_COPIED = (
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
)
_SPACES = re.compile(r"\s+")


def _values(node: Schema) -> Schema:
    """The schema of a map's values. The form of keys is for validation: structural schemas know none."""
    patterns: dict[str, Schema] = node.get("patternProperties", {})
    assert len(patterns) <= 1, f"a map has one kind of value: {node}"
    for values in patterns.values():
        return values
    plain: Schema = node["additionalProperties"]
    return plain


class _Converter:
    """pydantic's JSON schema -> the API server's dialect."""

    def __init__(self, definitions: Mapping[str, Schema], rules: Mapping[str, tuple[Rule, ...]]) -> None:
        self.definitions = definitions
        self.rules = rules

    def convert(self, node: Schema) -> Schema:
        node, model = self._resolve(node)
        made: Schema = {}
        if "description" in node:
            made["description"] = _SPACES.sub(" ", node["description"]).strip()
        if node.get("x-kubernetes-int-or-string"):
            made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        made |= {key: node[key] for key in _COPIED if key in node}
        if "const" in node:
            made["enum"] = [node["const"]]
        made |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
        if made.get("type") == "integer" and "maximum" not in made:
            made["format"] = "int64"
        if "properties" in node:
            made["properties"] = {key: self.convert(value) for key, value in node["properties"].items()}
        elif made.get("type") == "object" and not made.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = self.convert(_values(node))
        if "items" in node:
            made["items"] = self.convert(node["items"])
        rules = [rule.to_schema() for rule in self.rules.get(model, ())]
        if rules:
            made["x-kubernetes-validations"] = [*made.get("x-kubernetes-validations", ()), *rules]
        return made

    def _resolve(self, node: Schema) -> tuple[Schema, str]:
        """Follow references and unwrap "or null"; what the place says wins over what the type says."""
        model = node.get("title", "") if "properties" in node else ""
        while True:
            outer = {key: value for key, value in node.items() if key not in {"$ref", "anyOf", "allOf"}}
            if "$ref" in node:
                model = node["$ref"].rpartition("/")[2]
                node = {**self.definitions[model], **outer}
            elif "anyOf" in node:
                choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
                assert len(choices) == 1, f"a field has one type: {node}"
                node = {**choices[0], **outer}
            else:
                return node, model


# YAML.

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./(-][A-Za-z0-9_./,()-]*)*\Z")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})


def to_yaml(value: object) -> str:
    """Block YAML, two spaces, keys in the order given."""
    return "".join(f"{line}\n" for line in _block(value, 0))


def _block(value: object, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, Mapping | list) and item:
                yield f"{pad}{_scalar(key)}:"
                yield from _block(item, depth + (0 if isinstance(item, list) else 1))
            else:
                yield f"{pad}{_scalar(key)}: {_scalar(item)}"
    elif isinstance(value, list):
        for item in value:
            lines = list(_block(item, depth + 1)) if isinstance(item, Mapping | list) and item else [_scalar(item)]
            yield f"{pad}- {lines[0].strip()}"
            yield from lines[1:]


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
        return value
    return orjson.dumps(value).decode()


HEADER = "# Made from the types by `python -m crds.openapi`. Do not edit.\n"


def manifests() -> dict[str, str]:
    """File name -> content."""
    return {kind.file: HEADER + to_yaml(definition(kind)) for kind in KINDS}


def stale(folder: Path = MANIFESTS) -> list[str]:
    """Names of files in `folder` that are missing, different, or not ours."""
    wanted = manifests()
    found = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: list[str]) -> int:
    """Write the manifests, or check them. 0: in step."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m crds.openapi [--check]\n")
        return 2
    if arguments:
        names_ = stale()
        for name in names_:
            sys.stderr.write(f"{MANIFESTS.name}/{name} is not what the types say; run python -m crds.openapi\n")
        return 1 if names_ else 0
    MANIFESTS.mkdir(exist_ok=True)
    for name, content in manifests().items():
        (MANIFESTS / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
