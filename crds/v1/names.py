"""Names of everything that is made for a runtime or a catalog: one function per name.

Kubernetes allows 63 characters for a Service and for a label's value; the longest affix that we put
around a runtime's name therefore says how long that name may be (`MAX_RUNTIME_NAME`). Add a Service
here and the budget follows; nothing else in the system glues names together.
"""

from __future__ import annotations

import hashlib
import re

LABEL_LIMIT = 63


def coordinator_deployment(name: str) -> str:
    return f"trino-{name}-coordinator"


def worker_deployment(name: str) -> str:
    return f"trino-{name}-worker"


def coordinator_service(name: str) -> str:
    return f"trino-{name}"


def worker_service(name: str) -> str:
    return f"trino-{name}-worker"


def coordinator_metrics_service(name: str) -> str:
    return f"trino-{name}-metrics"


def worker_metrics_service(name: str) -> str:
    return f"trino-{name}-worker-metrics"


def service_account(name: str) -> str:
    return f"trino-{name}"


def ingress(name: str) -> str:
    return f"trino-{name}"


def network_policy(name: str) -> str:
    return f"trino-{name}"


def coordinator_config_map(name: str) -> str:
    """Files of `/etc/trino` for the coordinator. A renderer appends the content's hash."""
    return f"trino-{name}-coordinator"


def worker_config_map(name: str) -> str:
    """Files of `/etc/trino` for the workers. A renderer appends the content's hash."""
    return f"trino-{name}-worker"


def schemas_config_map(name: str) -> str:
    return f"trino-{name}-schemas"


def jmx_exporter_config_map(name: str) -> str:
    return f"trino-{name}-jmx-exporter"


def coordinator_disruption_budget(name: str) -> str:
    return f"trino-{name}-coordinator"


def worker_disruption_budget(name: str) -> str:
    return f"trino-{name}-worker"


def worker_autoscaler(name: str) -> str:
    """The HorizontalPodAutoscaler of the workers."""
    return f"trino-{name}-worker"


def scaled_object(name: str) -> str:
    """KEDA's ScaledObject of the workers."""
    return f"trino-{name}-workers"


def scaler_authentication(name: str) -> str:
    """KEDA's TriggerAuthentication, and the Secret that it reads."""
    return f"trino-{name}-keda-metrics-auth"


def catalog_config_map(catalog: str) -> str:
    """The ConfigMap of an XTrinodeCatalog. `catalog` is the object's name, whole."""
    return f"trino-catalog-{catalog}"


def catalog_file(trino_name: str) -> str:
    """The file in `/etc/trino/catalog` that gives Trino the catalog of that name."""
    return f"{trino_name}.properties"


def routing_group(namespace: str, name: str) -> str:
    """The group of a runtime that shares its route with nobody."""
    return f"{namespace}--{name}"


def shared_routing_group(namespace: str, group: str) -> str:
    """The group of runtimes of one namespace that share a route. Namespaces never share one by name."""
    return f"{namespace}--{group}"


def host_of_service(service: str, namespace: str) -> str:
    return f"{service}.{namespace}.svc.cluster.local"


def coordinator_url(name: str, namespace: str, port: int) -> str:
    return f"http://{host_of_service(coordinator_service(name), namespace)}:{port}"


#: Every name with the 63 character limit, made for the empty runtime name: what is left is the budget.
_LIMITED = (
    coordinator_service,
    worker_service,
    coordinator_metrics_service,
    worker_metrics_service,
    coordinator_deployment,
    worker_deployment,
    scaled_object,
)
MAX_RUNTIME_NAME = LABEL_LIMIT - max(len(name_of("")) for name_of in _LIMITED)
#: A catalog's object name is a label's value on its ConfigMap.
MAX_CATALOG_NAME = LABEL_LIMIT

_NOT_IN_ENV = re.compile(r"[^A-Z0-9]+")


def env_name(prefix: str, owner: str, key: str) -> str:
    """An environment variable for the property `key` of `owner`: readable, stable, and no two alike.

    `a` + `b.c` and `a-b` + `c` read the same once dots and dashes are gone; the hash keeps them apart.
    """
    digest = hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()[:8].upper()
    plain = _NOT_IN_ENV.sub("_", f"{owner}_{key}".upper()).strip("_")
    return f"{prefix}_{plain[:128]}_{digest}"


DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_UNFIT = re.compile(r"[^a-z0-9]+")


def volume_name(kind: str, source: str) -> str:
    """A pod volume's name for a ConfigMap or Secret: a DNS label, stable, and no two alike.

    Object names may hold dots and 253 characters, volume names may not; the hash keeps apart what the
    shortening would make equal.
    """
    digest = hashlib.sha256(f"{kind}/{source}".encode()).hexdigest()[:8]
    plain = _UNFIT.sub("-", f"{kind}-{source}".lower()).strip("-")
    return f"{plain[: LABEL_LIMIT - 9].strip('-')}-{digest}"
