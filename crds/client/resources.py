"""The kinds we talk to, and the path of each on the API server.

Every call of the client names a `Resource` instead of discovering it: discovery costs one request per API
group at start-up and fails when any aggregated API is down, and we know our kinds. Callers import the
constants; `resource_for` serves those who start from a manifest (the plugin, the sandbox, tests).

Nothing here does I/O, and nothing here imports aiohttp or kr8s.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

# Spelled here a second time (the contract's own constants import pydantic, which the plugin's start-up
# cannot afford); a contract test holds the copies together.
XTRINODE_GROUP = "analytics.xtrinode.io"
XTRINODE_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server spells it; `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path; without a name it is the collection (of all namespaces when `namespace` is None).

        An empty name is refused: joined blindly it would turn the delete of one object into the delete
        of its whole collection.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced:
            if namespace is not None:
                parts += ["namespaces", _segment(namespace, "namespace")]
            elif name is not None:
                raise ValueError(f"{self.kind} {name!r} lives in a namespace, and none was given")
        if subresource is not None and name is None:
            raise ValueError(f"the subresource {subresource!r} of {self.plural} needs an object's name")
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name, "name"))
        if subresource is not None:
            parts += [_segment(part, "subresource") for part in subresource.split("/")]
        return "/" + "/".join(parts)


def _segment(text: str, what: str) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no {what} of an object")
    return quote(text, safe="")


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
CORE_EVENTS = Resource("", "v1", "events", "Event")

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
JOBS = Resource("batch", "v1", "jobs", "Job")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
HORIZONTAL_POD_AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)

ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
VALIDATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
LOCAL_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"
)
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)

XTRINODES = Resource(XTRINODE_GROUP, XTRINODE_VERSION, "xtrinodes", "XTrinode")
XTRINODE_CATALOGS = Resource(XTRINODE_GROUP, XTRINODE_VERSION, "xtrinodecatalogs", "XTrinodeCatalog")
XTRINODE_POLICIES = Resource(XTRINODE_GROUP, XTRINODE_VERSION, "xtrinodepolicies", "XTrinodePolicy", namespaced=False)

SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")

ALL: tuple[Resource, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Resource))

_BY_KIND = {(resource.api_version, resource.kind): resource for resource in ALL}


def resource_for(api_version: str, kind: str) -> Resource:
    """The resource of a manifest's `apiVersion` and `kind`; LookupError names what is known of that kind."""
    found = _BY_KIND.get((api_version, kind))
    if found is None:
        known = [resource.api_version for resource in ALL if resource.kind == kind]
        hint = f"; known with apiVersion {' or '.join(known)}" if known else ""
        raise LookupError(f"no resource is known for kind {kind!r} of {api_version!r}{hint}")
    return found
