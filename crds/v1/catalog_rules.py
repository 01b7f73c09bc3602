"""What the fields of an XTrinodeCatalog may be together: one named function per rule.

The rule that matters most: a property has one writer. What a typed field generates is not free in
`properties`, and what is read from a Secret is not also there in plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crds.v1 import connectors, names
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
        kinds.Iceberg: ("hive", "hive_metastore", "glue", "jdbc", "rest", "nessie", "snowflake", "s3tables"),
        kinds.Lakehouse: ("iceberg", "delta", "delta_lake", "hive"),
    }.get(type(at.block))
    if known is None:
        return
    value = str(getattr(at.block, "catalog_type", ""))
    if value.strip() and value.strip().lower() not in known:
        yield FieldError(f"{at.path}.catalogType", f"must be one of {', '.join(known)}", "NotSupported", value)
    if isinstance(at.block, kinds.DeltaLake) and value.strip().lower() != "glue" and not at.block.warehouse_uri:
        yield FieldError(f"{at.path}.warehouseURI", "a Hive metastore needs its URI here", "Required")


def credentials_are_a_path(at: Subject) -> Errors:
    block = at.block
    if isinstance(block, kinds.BigQuery) and block.credentials_file:
        key = "bigquery.credentials-key"
        if key in block.property_secret_refs:
            message = f"cannot be combined with {at.path}.propertySecretRefs[{key}]; keep one of them"
            yield FieldError(f"{at.path}.credentialsFile", message, "Forbidden")


def mongodb_has_an_address(at: Subject) -> Errors:
    key = "mongodb.connection-url"
    if isinstance(at.block, kinds.Mongodb) and not (
        at.block.connection_uri or key in at.block.property_secret_refs or key in at.block.properties
    ):
        message = f"needed, here or (with a password in it) as {at.path}.propertySecretRefs[{key}]"
        yield FieldError(f"{at.path}.connectionURI", message, "Required")


Rule = Callable[[Subject], Errors]
RULES: tuple[Rule, ...] = (
    name_fits,
    texts_are_not_blank,
    generated_properties_are_reserved,
    no_secret_in_plain_text,
    secrets_come_in_pairs,
    catalog_types_are_known,
    credentials_are_a_path,
    mongodb_has_an_address,
)
