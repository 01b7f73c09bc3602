"""What the fields of an XTrinodeCatalog may be together: one named function per rule.

The rule that matters most: a property has one writer. What a typed field generates is not free in
`properties`, and what is read from a Secret is not also there in plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from crds.v1 import addresses, connectors, names
from crds.v1 import xtrinodecatalog as kinds
from crds.v1.fields import SecretKeySelector
from crds.v1.meta import FieldError
from crds.v1.secrets_policy import plaintext_secret, secret_in_url
from crds.v1.xtrinodecatalog import Connector, XTrinodeCatalog

Errors = Iterator[FieldError]


@dataclass(frozen=True, slots=True)
class Subject:
    """A catalog with its one connector."""

    catalog: XTrinodeCatalog
    field: str
    block: Connector

    @property
    def path(self) -> str:
        return f"spec.connector.{self.field}"


def one_connector(catalog: XTrinodeCatalog) -> tuple[Subject | None, tuple[FieldError, ...]]:
    """The subject of all other rules, or why there is none."""
    chosen = catalog.spec.connector.chosen()
    if len(chosen) == 1:
        field, block = next(iter(chosen.items()))
        return Subject(catalog, field, block), ()
    if not chosen:
        return None, (FieldError("spec.connector", "choose one connector, such as postgres or tpch", "Required"),)
    message = f"choose one connector; these are {', '.join(sorted(chosen))}"
    return None, (FieldError("spec.connector", message),)


def name_fits(at: Subject) -> Errors:
    name = at.catalog.metadata.name
    if name and not at.catalog.spec.catalog_name and not names.DNS_LABEL.match(connectors.catalog_name(at.catalog)):
        message = "must be usable as a name in SQL: begin with a letter, no dot; or set spec.catalogName"
        yield FieldError("metadata.name", message, "Invalid", name)
    if len(name) > names.MAX_CATALOG_NAME:
        yield FieldError("metadata.name", f"may have {names.MAX_CATALOG_NAME} characters", "TooLong", name)
    if connectors.catalog_name(at.catalog) == "system":
        path = "spec.catalogName" if at.catalog.spec.catalog_name else "metadata.name"
        yield FieldError(path, "system is the name of Trino's own catalog", "Forbidden", "system")


def texts_are_not_blank(at: Subject) -> Errors:
    for name, info in type(at.block).model_fields.items():
        value = getattr(at.block, name)
        texts = value if isinstance(value, tuple) else (value,)
        if info.is_required() and any(isinstance(text, str) and not text.strip() for text in texts):
            yield FieldError(f"{at.path}.{info.alias or name}", "must not be blank", "Required")


def generated_properties_are_reserved(at: Subject) -> Errors:
    plain, secret = connectors.generated(at.field, at.block)
    for key in (*plain, *secret):
        advice = f"is generated for {at.path}; use the typed field"
        if key == connectors.CONNECTOR_NAME:
            advice = "is given by the choice of connector"
        if key in at.block.properties:
            yield FieldError(f"{at.path}.properties[{key}]", advice, "Forbidden")
        if key in at.block.property_secret_refs:
            yield FieldError(f"{at.path}.propertySecretRefs[{key}]", advice, "Forbidden")
    for key in at.block.properties:
        if key in at.block.property_secret_refs:
            message = f"is also in {at.path}.propertySecretRefs; keep one of them"
            yield FieldError(f"{at.path}.properties[{key}]", message, "Duplicate")


def no_secret_in_plain_text(at: Subject) -> Errors:
    for key, value in at.block.properties.items():
        if plaintext_secret(key, value) or secret_in_url(value):
            message = f"looks like a secret; remove it here and name its Secret in {at.path}.propertySecretRefs[{key}]"
            yield FieldError(f"{at.path}.properties[{key}]", message, "Forbidden")
    for name, info in type(at.block).model_fields.items():
        value = getattr(at.block, name)
        if isinstance(value, str) and secret_in_url(value):
            message = "holds a password; use the field or propertySecretRefs entry that reads it from a Secret"
            yield FieldError(f"{at.path}.{info.alias or name}", message, "Forbidden")


def secrets_come_in_pairs(at: Subject) -> Errors:
    if not isinstance(at.block, kinds.Hive):
        return
    pair: dict[str, SecretKeySelector | None] = {
        "s3AccessKeySecret": at.block.s3_access_key_secret,
        "s3SecretKeySecret": at.block.s3_secret_key_secret,
    }
    missing = [name for name, value in pair.items() if value is None]
    if len(missing) == 1:
        yield FieldError(f"{at.path}.{missing[0]}", "access key and secret key belong together", "Required")


def catalog_types_are_known(at: Subject) -> Errors:
    known = {
        kinds.DeltaLake: ("glue", "hive", "hive_metastore"),
        kinds.Iceberg: ("hive", "hive_metastore", "glue", "jdbc", "rest", "nessie", "snowflake"),
        kinds.Lakehouse: ("iceberg", "delta", "delta_lake", "hive"),
    }.get(type(at.block))
    if known is None:
        return
    value = str(getattr(at.block, "catalog_type", ""))
    if value.strip() and value.strip().lower() not in known:
        yield FieldError(f"{at.path}.catalogType", f"must be one of {', '.join(known)}", "NotSupported", value)


Check = Callable[[str], str | None]
#: (field of spec.connector, its address field) -> what that address must be.
_ADDRESSES: dict[tuple[str, str], Check] = {
    ("cassandra", "contactPoints"): addresses.hosts,
    ("druid", "brokerURL"): addresses.druid,
    ("elasticsearch", "host"): addresses.host,
    ("hive", "metastoreURI"): addresses.metastores,
    ("hive", "s3Endpoint"): addresses.http_url,
    ("hudi", "metastoreURI"): addresses.metastores,
    ("kafka", "kafkaNodes"): addresses.hosts_with_ports,
    ("lakehouse", "metastoreURI"): addresses.metastores,
    ("loki", "uri"): addresses.http_url,
    ("mongodb", "connectionURI"): addresses.mongodb,
    ("openSearch", "host"): addresses.host,
    ("pinot", "controllerURLs"): addresses.controllers,
    ("prometheus", "uri"): addresses.http_url,
    ("redis", "nodes"): addresses.hosts_with_ports,
    ("thrift", "host"): addresses.host,
    **{(field, "connectionURL"): partial(addresses.jdbc, field) for field in addresses.JDBC},
}


def addresses_are_usable(at: Subject) -> Errors:
    """A single address that Trino cannot read keeps every catalog of the runtime from being served."""
    checks = {name: check for (field, name), check in _ADDRESSES.items() if field == at.field}
    if isinstance(at.block, kinds.DeltaLake | kinds.Iceberg) and _keeps_a_metastore(at.block):
        checks["warehouseURI"] = addresses.metastores
    if any(key.startswith("hive.metastore.http.client.") for key in at.block.properties):
        # Thrift over HTTP: its addresses are URLs.
        checks = {
            name: addresses.http_url if check is addresses.metastores else check for name, check in checks.items()
        }
    for name, info in type(at.block).model_fields.items():
        check, value = checks.get(info.alias or name), getattr(at.block, name)
        for where, text in _texts(f"{at.path}.{info.alias or name}", value):
            problem = check(text) if check and text.strip() else None
            if problem:
                yield FieldError(where, problem, "Invalid", text)


def _texts(path: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, tuple):
        return [(f"{path}[{index}]", text) for index, text in enumerate(value)]
    return [(path, value)] if isinstance(value, str) else []


def _keeps_a_metastore(block: kinds.DeltaLake | kinds.Iceberg) -> bool:
    """Whether warehouseURI is the address of a Hive metastore. (An Iceberg warehouse in a bucket is only warned of.)"""
    kind, uri = connectors.iceberg_type(block.catalog_type), block.warehouse_uri or ""
    return kind == "hive_metastore" and (isinstance(block, kinds.DeltaLake) or connectors.is_metastore(uri))


METASTORE = "hive.metastore.uri"
#: Type of an Iceberg catalog -> properties without which Trino does not start, and the field that makes one of them.
_ICEBERG_NEEDS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "hive_metastore": ((METASTORE, "warehouseURI"),),
    "rest": (("iceberg.rest-catalog.uri", None),),
    "jdbc": (
        ("iceberg.jdbc-catalog.driver-class", None),
        ("iceberg.jdbc-catalog.connection-url", None),
        ("iceberg.jdbc-catalog.catalog-name", None),
        ("iceberg.jdbc-catalog.default-warehouse-dir", "warehouseURI"),
    ),
    "nessie": (
        ("iceberg.nessie-catalog.uri", None),
        ("iceberg.nessie-catalog.default-warehouse-dir", "warehouseURI"),
    ),
    "snowflake": tuple(
        (f"iceberg.snowflake-catalog.{key}", None) for key in ("account-uri", "user", "password", "database")
    ),
}


def needed_properties_are_there(at: Subject) -> Errors:
    needed: tuple[tuple[str, str | None], ...] = ()
    match at.block:
        case kinds.Iceberg():
            needed = _ICEBERG_NEEDS.get(connectors.iceberg_type(at.block.catalog_type), ())
        case kinds.DeltaLake() if _keeps_a_metastore(at.block):
            needed = ((METASTORE, "warehouseURI"),)
        case kinds.Lakehouse() if "hive.metastore" not in at.block.properties:
            needed = ((METASTORE, "metastoreURI"),)
        case kinds.Mongodb():
            needed = (("mongodb.connection-url", "connectionURI"),)
        case _:
            return
    plain, secret = connectors.generated(at.field, at.block)
    there = {*plain, *secret, *at.block.properties, *at.block.property_secret_refs}
    for key, field in needed:
        if key in there:
            continue
        kept = "propertySecretRefs" if plaintext_secret(key, "") else "properties"
        elsewhere = f"{at.path}.{kept}[{key}]"
        if field:
            message = f"this catalog needs it, here or as {at.path}.properties[{key}] or propertySecretRefs[{key}]"
            yield FieldError(f"{at.path}.{field}", message, "Required")
        else:
            yield FieldError(elsewhere, "Trino does not start without it", "Required")


def metastore_is_the_one_named(at: Subject) -> Errors:
    key = "hive.metastore"
    kind = at.block.properties.get(key, "thrift")
    if isinstance(at.block, kinds.Hive | kinds.Hudi) and kind.strip().lower() != "thrift":
        message = f"contradicts {at.path}.metastoreURI; for another metastore use the connector custom"
        yield FieldError(f"{at.path}.properties[{key}]", message, "Invalid", kind)


def credentials_are_a_path(at: Subject) -> Errors:
    block = at.block
    if isinstance(block, kinds.BigQuery) and block.credentials_file:
        key = "bigquery.credentials-key"
        if key in block.property_secret_refs:
            message = f"cannot be combined with {at.path}.propertySecretRefs[{key}]; keep one of them"
            yield FieldError(f"{at.path}.credentialsFile", message, "Forbidden")


Rule = Callable[[Subject], Errors]
RULES: tuple[Rule, ...] = (
    name_fits,
    texts_are_not_blank,
    generated_properties_are_reserved,
    no_secret_in_plain_text,
    secrets_come_in_pairs,
    catalog_types_are_known,
    credentials_are_a_path,
    addresses_are_usable,
    needed_properties_are_there,
    metastore_is_the_one_named,
)
