"""What the fields of an XTrinode may be together: one named function per rule, object to errors.

The types have judged each value on its own. These rules look across fields; each says what is wrong and
what to type instead, and none of them knows about old objects or users. `RULES` is the list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crds import trino
from crds.v1 import addresses, memory, names, overlay_rules, placement, pod_rules, scaling, trino_files
from crds.v1.fields import ResourceRequirements
from crds.v1.meta import FieldError, InvalidObject
from crds.v1.overlay import PATH
from crds.v1.quantity import MIB, parse_duration, parse_quantity
from crds.v1.routes import header_value
from crds.v1.rule_subject import Errors, Rule, Subject
from crds.v1.secrets_policy import plaintext_secret, secret_in_url
from crds.v1.shape import resolve

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")


def name_fits(at: Subject) -> Errors:
    name = at.runtime.metadata.name
    if not name:
        return
    if not _NAME.match(name):
        yield FieldError(
            "metadata.name",
            "must be lower-case letters, digits and dashes: Services are named after it",
            "Invalid",
            name,
        )
    elif len(name) > names.MAX_RUNTIME_NAME:
        yield FieldError(
            "metadata.name",
            f"may have {names.MAX_RUNTIME_NAME} characters, so that names made from it fit into {names.LABEL_LIMIT}",
            "TooLong",
            name,
        )


def workers_in_order(at: Subject) -> Errors:
    spec = at.spec
    if spec.max_workers is not None and spec.min_workers > spec.max_workers:
        message = f"must not be greater than spec.maxWorkers ({spec.max_workers})"
        yield FieldError("spec.minWorkers", message, "Invalid", spec.min_workers)
    mode = scaling.mode(spec, at.overlay)
    if mode == "keda" and spec.max_workers == 0:
        yield FieldError("spec.maxWorkers", "must be at least 1 when KEDA scales the workers", "Invalid", 0)
    most = spec.max_workers
    if spec.wake_min_workers is not None and most is not None and spec.wake_min_workers > most:
        message = f"must not be greater than spec.maxWorkers ({most})"
        yield FieldError("spec.wakeMinWorkers", message, "Invalid", spec.wake_min_workers)


def resources_make_sense(at: Subject) -> Errors:
    for role in ("coordinator", "worker"):
        typed = getattr(at.spec.resources, role) if at.spec.resources else None
        if typed is not None:
            yield from _resources(typed, f"spec.resources.{role}")


_RESOURCES = re.compile(r"(cpu|memory|ephemeral-storage|hugepages-\S+|[a-z0-9][-a-z0-9.]*/\S+)\Z")


def _resources(typed: ResourceRequirements, path: str) -> Errors:
    for name, amounts in (("requests", typed.requests), ("limits", typed.limits)):
        for key in amounts:
            if not _RESOURCES.match(key):
                message = "is no resource; there are cpu, memory, ephemeral-storage and others with a domain"
                yield FieldError(f"{path}.{name}[{key}]", message, "NotSupported", key)
    for key, limit in typed.limits.items():
        request = typed.requests.get(key)
        if request is not None and parse_quantity(request) > parse_quantity(limit):
            message = f"must not be greater than the limit ({limit})"
            yield FieldError(f"{path}.requests.{key}", message, "Invalid", request)
    resolved = memory.resolve_resources(typed)
    if resolved.memory_bytes == 0:
        yield FieldError(
            f"{path}.limits.memory",
            "set a memory limit or request: the JVM heap is 75 % of it, and this block replaces the preset as a whole",
            "Required",
        )
    elif resolved.memory_bytes < memory.LEAST_MEMORY:
        message = f"Trino does not start with less than {memory.LEAST_MEMORY // MIB}Mi"
        key = "limits" if "memory" in typed.limits else "requests"
        yield FieldError(f"{path}.{key}.memory", message, "Invalid", str(getattr(typed, key)["memory"]))


def memory_fits(at: Subject) -> Errors:
    """Trino refuses to start when query memory and headroom exceed the heap; the kernel kills a heap that
    exceeds the container."""
    try:
        shape = resolve(at.runtime)
    except (InvalidObject, ValueError):
        return  # the reason is named by another rule
    for role in (shape.coordinator, shape.worker):
        limit = role.resources.memory_bytes
        if limit == 0:
            continue
        parts = role.memory
        heap_source = shape.sources[f"{role.role}.heap"]
        if parts.heap >= limit:
            message = (
                f"the heap of {parts.heap // MIB}MB must be smaller than the container's memory ({limit // MIB}Mi)"
            )
            yield FieldError(heap_source, message)
        elif parts.query_per_node + parts.headroom > parts.heap:
            message = (
                f"query memory per node ({parts.query_per_node // MIB}MB) and headroom ({parts.headroom // MIB}MB) "
                f"must fit into the heap ({parts.heap // MIB}MB, 75 % of the memory limit)"
            )
            where = shape.sources.get(f"{role.role}.queryMaxMemoryPerNode") or f"{PATH}.{role.role}"
            yield FieldError(where, message)


def limits_have_one_writer(at: Subject) -> Errors:
    limits = at.spec.limits
    if limits is None or trino_files.limits_group(limits) is None:
        return
    other = None
    if at.spec.resource_groups_profile:
        other = "spec.resourceGroupsProfile"
    elif at.overlay.resource_groups is not None:
        other = f"{PATH}.resourceGroups"
    if other:
        set_ = "hardConcurrencyPerGroup" if limits.hard_concurrency_per_group is not None else "maxQueuedPerGroup"
        yield FieldError(f"spec.limits.{set_}", f"cannot be combined with {other}; keep one of them", "Forbidden")


def routing_selects(at: Subject) -> Errors:
    routing, meta = at.spec.routing, at.runtime.metadata
    if routing is None:
        return
    if routing.hostname and routing.hostname_domain:
        yield FieldError("spec.routing.hostnameDomain", "set either hostname or hostnameDomain", "Forbidden")
    if routing.hostname_domain:
        label = routing.routing_group or names.routing_group(meta.namespace, meta.name)
        host = f"{label}.{routing.hostname_domain}"
        if len(label) > names.LABEL_LIMIT or len(host) > 253:
            message = f"the host {host} is longer than DNS allows; use spec.routing.hostname"
            yield FieldError("spec.routing.hostnameDomain", message, "TooLong")
    if routing.header is not None:
        yield from _header(routing.header, meta.namespace)


def _header(header: str, namespace: str) -> Errors:
    path = "spec.routing.header"
    value = header_value(header)
    given = next((header.partition(mark)[0].strip() for mark in "=:" if mark in header), "")
    if given and given.lower() != trino.RUNTIME_SELECTOR.lower():
        message = f"only {trino.RUNTIME_SELECTOR} selects a runtime; write {trino.RUNTIME_SELECTOR}={value}"
        yield FieldError(path, message, "Invalid", header)
    if not value or not value.isascii() or not value.isprintable() or any(char in value for char in ' ,"'):
        yield FieldError(path, "the value must be printable ASCII without spaces, commas and quotes", "Invalid", header)
    elif "/" in value and namespace and not value.startswith(f"{namespace}/"):
        message = f"a value with a slash belongs to the namespace before it; begin with {namespace}/ or use no slash"
        yield FieldError(path, message, "Forbidden", value)


def placement_agrees(at: Subject) -> Errors:
    both = at.spec.placement
    if both is None or both.existing_node_pool is None:
        return
    wanted = placement.pool_selector(both.existing_node_pool)
    selectors: dict[str, Mapping[str, str] | None] = {"spec.placement": both.node_selector}
    for role in ("coordinator", "worker"):
        own = getattr(both, role)
        selectors[f"spec.placement.{role}"] = own.node_selector if own else None
    for path, selector in selectors.items():
        for key, value in wanted.items():
            found = (selector or {}).get(key, value)
            if found != value:
                message = f"contradicts spec.placement.existingNodePool ({value})"
                yield FieldError(f"{path}.nodeSelector[{key}]", message, "Invalid", found)


def keda_is_complete(at: Subject) -> Errors:
    keda = at.spec.keda
    if keda is None:
        return
    path = "spec.keda"
    if keda.http_endpoint:
        yield from _endpoint(at, keda.http_endpoint)
    if keda.prometheus_server:
        yield from _scaler_url(keda.prometheus_server, f"{path}.prometheusServer")
    if keda.threshold is not None and not _positive(keda.threshold):
        yield FieldError(f"{path}.threshold", "must be a plain number greater than zero", "Invalid", keda.threshold)
    if not scaling.keda_active(keda):
        return
    if at.overlay.server.autoscaling.enabled:
        message = f"KEDA and {PATH}.server.autoscaling would both scale the workers; keep one of them"
        yield FieldError(f"{path}.enabled", message, "Forbidden")
    kind, metric = scaling.scaler_type(keda), scaling.scaling_metric(keda)
    if kind == "http" and metric in {"memory", "cpu"} and not (keda.threshold or "80").isdecimal():
        message = f"must be whole percents: with scalingMetric {metric} KEDA reads it as the pods' utilisation"
        yield FieldError(f"{path}.threshold", message, "Invalid", keda.threshold)
    if kind == "http" and metric in {"memory", "cpu"} and at.spec.min_workers == 0:
        message = (
            f"must be at least 1: KEDA cannot measure {metric} of no workers; or set spec.keda.scalingMetric to query"
        )
        yield FieldError("spec.minWorkers", message, "Invalid", 0)


def _endpoint(at: Subject, endpoint: str) -> Errors:
    path = "spec.keda.httpEndpoint"
    exporter = at.spec.keda.jmx_exporter if at.spec.keda else None
    if endpoint == "jmx":
        if not (exporter and exporter.enabled):
            yield FieldError(path, "jmx needs spec.keda.jmxExporter.enabled: true", "Invalid", endpoint)
    elif "://" in endpoint:
        yield from _scaler_url(endpoint, path)
    elif endpoint != "coordinator":
        yield FieldError(path, "must be coordinator, jmx or a URL", "NotSupported", endpoint)


def _scaler_url(url: str, path: str) -> Errors:
    problem = addresses.http_url(url)
    if problem:
        yield FieldError(path, problem, "Invalid", url)
    elif secret_in_url(url):
        yield FieldError(path, "must not hold a password: everybody who may read the ScaledObject sees it", "Forbidden")


_NUMBER = re.compile(r"(?=.*[1-9])([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})\Z", re.ASCII)


def _positive(text: str) -> bool:
    """As KEDA reads numbers: without units."""
    return _NUMBER.match(text) is not None


def fault_tolerance_has_an_exchange(at: Subject) -> Errors:
    policy = at.spec.fault_tolerant_execution
    if policy is None or policy.exchange_manager is None:
        return
    path = "spec.faultTolerantExecution.exchangeManager"
    manager = policy.exchange_manager
    if policy.retry_policy == "TASK" and not manager.enabled:
        yield FieldError(
            f"{path}.enabled", "retryPolicy TASK needs an exchange manager; use QUERY without", "Forbidden"
        )
    for index, directory in enumerate(manager.base_directories):
        if not directory.strip() or "," in directory:
            yield FieldError(
                f"{path}.baseDirectories[{index}]", "must not be blank or hold a comma", "Invalid", directory
            )
    for map_name, entries in (
        ("properties", manager.properties),
        ("propertySecretRefs", manager.property_secret_refs),
    ):
        for key, typed in (("exchange-manager.name", "name"), ("exchange.base-directories", "baseDirectories")):
            if key in entries:
                yield FieldError(f"{path}.{map_name}[{key}]", f"use {path}.{typed}", "Forbidden")
    for key in manager.properties:
        if key in manager.property_secret_refs:
            message = f"is also in {path}.propertySecretRefs; keep one of them"
            yield FieldError(f"{path}.properties[{key}]", message, "Duplicate")
        elif plaintext_secret(key, manager.properties[key]):
            yield FieldError(
                f"{path}.properties[{key}]",
                f"looks like a secret; name its Secret in {path}.propertySecretRefs",
                "Forbidden",
            )


def rollout_can_move(at: Subject) -> Errors:
    policy = at.spec.rollout_policy
    strategy = policy.rolling_update_strategy if policy else None
    if strategy and {strategy.max_surge, strategy.max_unavailable} <= {0, "0%"}:
        message = "maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced"
        yield FieldError("spec.rolloutPolicy.rollingUpdateStrategy", message)


def access_control_is_complete(at: Subject) -> Errors:
    chart = at.spec.helm_chart_config
    control = chart.access_control if chart else None
    if control is None:
        return
    path = "spec.helmChartConfig.accessControl"
    if control.type == "properties":
        if not (control.properties or "").strip():
            yield FieldError(
                f"{path}.properties", "type properties needs the lines of access-control.properties", "Required"
            )
    elif not control.config_file:
        yield FieldError(f"{path}.configFile", "type configmap needs the name of one of `rules`", "Required")
    elif control.config_file not in control.rules:
        yield FieldError(
            f"{path}.configFile", "must be one of the files in `rules`", "NotSupported", control.config_file
        )
    period = control.refresh_period
    if period is not None and parse_duration(period).total_seconds() < 0.001:
        yield FieldError(f"{path}.refreshPeriod", "must be at least 1ms; leave it out to read once", "Invalid", period)


def ingress_has_hosts(at: Subject) -> Errors:
    chart = at.spec.helm_chart_config
    if chart and chart.ingress and chart.ingress.enabled and not chart.ingress.hosts:
        yield FieldError("spec.helmChartConfig.ingress.hosts", "an enabled ingress needs at least one host", "Required")


def selector_is_complete(at: Subject) -> Errors:
    selector = at.spec.catalog_selector
    for index, term in enumerate(selector.match_expressions if selector else ()):
        path = f"spec.catalogSelector.matchExpressions[{index}].values"
        if term.operator in {"In", "NotIn"} and not term.values:
            yield FieldError(path, f"{term.operator} needs at least one value", "Required")
        elif term.operator in {"Exists", "DoesNotExist"} and term.values:
            yield FieldError(path, f"must be empty with {term.operator}", "Forbidden")


def overlay_is_allowed(at: Subject) -> Errors:
    if at.spec.values_overlay is not None:
        yield from overlay_rules.check(at.spec, at.overlay)


RULES: tuple[Rule, ...] = (
    name_fits,
    workers_in_order,
    resources_make_sense,
    memory_fits,
    limits_have_one_writer,
    routing_selects,
    placement_agrees,
    keda_is_complete,
    fault_tolerance_has_an_exchange,
    rollout_can_move,
    access_control_is_complete,
    ingress_has_hosts,
    *pod_rules.RULES,
    selector_is_complete,
    overlay_is_allowed,
)
