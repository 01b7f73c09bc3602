"""The built-in kinds: the table of what is served without any CustomResourceDefinition.

`builtin_kinds(store)` is called once by the server. Schemas, special rules, printing columns and the two forms of
Events come from the modules beside this one; here they become `Kind`s.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sandbox.kube import initial_fields, service_addresses
from sandbox.kube.builtin_checks import VALIDATE
from sandbox.kube.builtin_rules import ALLOCATE, PREPARE, Prepare
from sandbox.kube.builtin_types import TYPES
from sandbox.kube.custom import validate_crd
from sandbox.kube.errors import Cause, Undecodable
from sandbox.kube.event_forms import core_form, events_form
from sandbox.kube.merge import BadItem, check_unique
from sandbox.kube.quantities import canonical
from sandbox.kube.resources import ALL_VERBS, Kind, ScalePaths, Schema
from sandbox.kube.rows import ROWS
from sandbox.kube.schema_language import QUANTITY, ZERO_IS_ABSENT
from sandbox.kube.store import GroupResource, Store
from sandbox.kube.structural import StructuralSchema

Object = dict[str, Any]

# group/version: then per line  plural Kind scope [short names] [+categories] [/sub-resources] [type in the schema]
_TABLE: Final = """
v1
 namespaces Namespace cluster ns /status,finalize
 configmaps ConfigMap namespaced cm
 secrets Secret namespaced
 services Service namespaced svc +all /status
 pods Pod namespaced po +all /status,binding,eviction,log
 serviceaccounts ServiceAccount namespaced sa /token
 endpoints Endpoints namespaced ep
 events Event namespaced ev
 nodes Node cluster no /status
 persistentvolumeclaims PersistentVolumeClaim namespaced pvc /status
 persistentvolumes PersistentVolume cluster pv /status
 resourcequotas ResourceQuota namespaced quota /status
 limitranges LimitRange namespaced limits
apps/v1
 deployments Deployment namespaced deploy +all /status,scale
 replicasets ReplicaSet namespaced rs +all /status,scale
 statefulsets StatefulSet namespaced sts +all /status,scale
 daemonsets DaemonSet namespaced ds +all /status
 controllerrevisions ControllerRevision namespaced
batch/v1
 jobs Job namespaced +all /status
 cronjobs CronJob namespaced cj +all /status
autoscaling/v2
 horizontalpodautoscalers HorizontalPodAutoscaler namespaced hpa +all /status
policy/v1
 poddisruptionbudgets PodDisruptionBudget namespaced pdb /status
networking.k8s.io/v1
 ingresses Ingress namespaced ing /status
 ingressclasses IngressClass cluster
 networkpolicies NetworkPolicy namespaced netpol
coordination.k8s.io/v1
 leases Lease namespaced
rbac.authorization.k8s.io/v1
 roles Role namespaced
 rolebindings RoleBinding namespaced
 clusterroles ClusterRole cluster
 clusterrolebindings ClusterRoleBinding cluster
discovery.k8s.io/v1
 endpointslices EndpointSlice namespaced
events.k8s.io/v1
 events Event namespaced ev =NewEvent
apiextensions.k8s.io/v1
 customresourcedefinitions CustomResourceDefinition cluster crd,crds +api-extensions /status
admissionregistration.k8s.io/v1
 mutatingwebhookconfigurations MutatingWebhookConfiguration cluster +api-extensions
 validatingwebhookconfigurations ValidatingWebhookConfiguration cluster +api-extensions
scheduling.k8s.io/v1
 priorityclasses PriorityClass cluster pc
storage.k8s.io/v1
 storageclasses StorageClass cluster sc
node.k8s.io/v1
 runtimeclasses RuntimeClass cluster
apiregistration.k8s.io/v1
 apiservices APIService cluster +api-extensions /status
authentication.k8s.io/v1
 tokenreviews TokenReview cluster !create
 selfsubjectreviews SelfSubjectReview cluster !create
authorization.k8s.io/v1
 subjectaccessreviews SubjectAccessReview cluster !create
 localsubjectaccessreviews LocalSubjectAccessReview namespaced !create
 selfsubjectaccessreviews SelfSubjectAccessReview cluster !create
 selfsubjectrulesreviews SelfSubjectRulesReview cluster !create
"""

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Event": tuple(
        f"involvedObject.{key}"
        for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    )
    + ("reason", "reportingComponent", "source", "type"),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
    "Node": ("spec.unschedulable",),
    "Service": ("spec.clusterIP", "spec.type"),
    "ReplicaSet": ("status.replicas",),
    "Job": ("status.successful",),
}

_NEW_EVENT_FIELDS: Final = tuple(path.replace("involvedObject.", "regarding.") for path in _FIELDS["Event"])


# Namespaces are deleted one by one.
_WITHOUT: Final[dict[str, tuple[str, ...]]] = {"Namespace": ("deletecollection",)}


# Among them locks: one that is taken without naming the version seen would be no lock.
_VERSIONED: Final = frozenset(
    {"Lease", "PodDisruptionBudget", "CustomResourceDefinition", "APIService", "RuntimeClass"}
    | {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
)


_PUT_CREATES: Final = frozenset(
    {"Endpoints", "LimitRange", "Service", "Lease", "Event"}
    | {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
)
_DELETE_RETURNS: Final = frozenset(
    {"Pod", "Service", "ServiceAccount", "ResourceQuota", "PersistentVolumeClaim", "PersistentVolume", "StorageClass"}
)


class _BuiltinSchema(StructuralSchema):
    """Judges quickly what is right, which nearly everything is: types by the compiled schema, lists by their keys."""

    def validate(self, obj: Object, old: Object | None = None) -> list[Cause]:
        if self._is_valid(obj):
            try:
                check_unique(obj, self.openapi)
            except BadItem:
                return super().validate(obj, old)
            return []
        return super().validate(obj, old)


class BuiltinStrategy:
    """The schema of a built-in type plus the rules of its kind. The schema is compiled on first use."""

    def __init__(self, kind: str, api_version: str, type_name: str, rules: dict[str, Prepare | None]) -> None:
        self._kind = kind
        self._api_version = api_version
        self._type = type_name
        self._compiled: _BuiltinSchema | None = None
        self._prepare, self._allocate = rules["prepare"], rules["allocate"]
        self._check = validate_crd if kind == "CustomResourceDefinition" else VALIDATE.get(kind)

    @property
    def _schema(self) -> _BuiltinSchema:
        if self._compiled is None:
            self._compiled = _BuiltinSchema(TYPES.resolved(self._type))
        return self._compiled

    def prune(self, obj: Object) -> list[str]:
        return self._schema.prune(obj)

    def default(self, obj: Object) -> None:
        self._schema.default(obj)
        try:
            _settle(obj, self._schema.openapi)
        except ValueError as error:
            raise Undecodable(f"{self._kind} cannot be handled as a {self._kind}: {error}") from error
        initial_fields.complete(self._kind, obj)

    def prepare(self, obj: Object, old: Object | None) -> None:
        if self._prepare is not None:
            self.decodes(obj)  # rules may trust the types
            self._prepare(obj, old)

    def allocate(self, obj: Object, old: Object | None) -> None:
        if self._allocate is not None:
            self.decodes(obj)
            self._allocate(obj, old)

    def decodes(self, obj: Object) -> list[Cause]:
        """Raise the 400 of a body that is not of this type at all; return what else is wrong with it."""
        found = self._schema.validate(obj)
        for cause in found:
            if cause.reason == "FieldValueTypeInvalid" and "must be of type" in cause.message:
                version = self._api_version.rpartition("/")[2]
                raise Undecodable(
                    f'{self._kind} in version "{version}" cannot be handled as a {self._kind}: '
                    f"json: cannot unmarshal field {self._kind}.{cause.field}: {cause.message}",
                )
        return found

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        found = self.decodes(obj)
        if self._check is not None and not found:
            found = self._check(obj, old)
        return found


def _settle(value: Any, schema: Schema) -> None:
    """Write values as the built-in types do: quantities in their canonical form, and without what they take for
    absent, which is optional maps and lists that hold nothing, and some zeros. ValueError for a wrong quantity."""
    if isinstance(value, dict):
        properties, required = schema.get("properties"), schema.get("required") or ()
        if properties is None:
            below = schema.get("additionalProperties")
            if isinstance(below, dict) and QUANTITY in below:
                value.update({key: canonical(amount) for key, amount in value.items()})
            return
        for key in list(value):
            below, kept = properties.get(key), value[key]
            if below is None or not isinstance(kept, (dict, list)):
                if below is not None and not kept and ZERO_IS_ABSENT in below:
                    del value[key]
                elif below is not None and QUANTITY in below:
                    value[key] = canonical(kept)
                continue
            _settle(kept, below)
            if not kept and key not in required and ("items" in below or "additionalProperties" in below):
                del value[key]
    elif isinstance(value, list):
        for member in value:
            _settle(member, schema.get("items") or {})


def builtin_kinds(store: Store, prepare_crd: Prepare) -> list[Kind]:
    """Every built-in kind. `store` is read for the Services that exist; `prepare_crd` completes CRDs."""
    services = GroupResource("", "services")
    prepare: dict[str, Prepare] = {**PREPARE, "CustomResourceDefinition": prepare_crd}
    allocate: dict[str, Prepare] = {
        **ALLOCATE,
        "Service": partial(service_addresses.allocate, services=lambda: store.objects(services)),
    }
    kinds: list[Kind] = []
    group = version = ""
    for line in _TABLE.splitlines():
        if line and line[0] != " ":
            group, _, version = line.rpartition("/")
        elif line:
            words = line.split()
            rules: dict[str, Prepare | None] = {"prepare": prepare.get(words[1]), "allocate": allocate.get(words[1])}
            kinds.append(_kind(group, version, words, rules))
    return kinds


def _kind(group: str, version: str, words: list[str], rules: dict[str, Prepare | None]) -> Kind:
    plural, kind, scope, *rest = words
    marked = {word[0]: word[1:] for word in rest if word[0] in "+/=!"}
    short = next((word for word in rest if word[0] not in "+/=!"), "")
    type_name = marked.get("=", kind)
    api_version = f"{group}/{version}" if group else version
    new_event = type_name == "NewEvent"
    subresources = frozenset(filter(None, marked.get("/", "").split(",")))
    columns, cells = ROWS.get(kind, ((), None))
    return Kind(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced=scope == "namespaced",
        schema=TYPES.resolved(type_name),
        schema_name=TYPES.prefix + type_name,
        strategy=BuiltinStrategy(kind, api_version, type_name, rules),
        zero=initial_fields.ZERO.get(type_name, {}),
        singular=kind.lower(),
        list_kind=f"{kind}List",
        short_names=tuple(filter(None, short.split(","))),
        categories=(marked["+"],) if "+" in marked else (),
        subresources=subresources,
        scale=ScalePaths(selector=("spec", "selector")) if "scale" in subresources else None,
        columns=columns,
        cells=cells,
        versioned_updates=kind in _VERSIONED,
        put_creates=kind in _PUT_CREATES,
        delete_returns=kind in _DELETE_RETURNS,
        field_paths=_NEW_EVENT_FIELDS if new_event else _FIELDS.get(kind, ()),
        storage=GroupResource("", "events") if new_event else None,
        decode=events_form if new_event else None,
        encode=core_form if new_event else None,
        verbs=("create",) if "!" in marked else tuple(v for v in ALL_VERBS if v not in _WITHOUT.get(kind, ())),
    )
