"""Sub-resources of Pods: binding to a node, eviction under disruption budgets, and logs from the node's kubelet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

from sandbox.kube import errors, meta, selectors
from sandbox.kube.call import Call, DeleteOptions
from sandbox.kube.resources import Registry
from sandbox.kube.store import GroupResource
from sandbox.kube.verbs import Verbs

Object = dict[str, Any]

NODES: Final = GroupResource("", "nodes")
BUDGETS: Final = GroupResource("policy", "poddisruptionbudgets")
_LOG_OPTIONS: Final = ("follow", "previous", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "limitBytes")


def _status(code: int = 201) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


# -- binding


async def bind(verbs: Verbs, call: Call, body: Any) -> Object:
    """Assign a Pod to a node, once."""
    target = body.get("target") if isinstance(body, dict) else None
    node = target.get("name") if isinstance(target, dict) else None
    if not isinstance(node, str) or not node:
        causes = [errors.Cause("FieldValueRequired", "Required value", "target.name")]
        raise errors.invalid("Binding", "", call.name, causes)
    now = meta.timestamp(verbs.clock())

    def change(pod: Object) -> Object:
        spec = pod.setdefault("spec", {})
        if pod["metadata"].get("deletionTimestamp"):
            raise errors.conflict(
                "pods/binding", "", call.name, f"pod {call.name} is being deleted, cannot be assigned to a host"
            )
        if spec.get("nodeName"):
            why = f'pod {call.name} is already assigned to node "{spec["nodeName"]}"'
            raise errors.conflict("pods/binding", "", call.name, why)
        spec["nodeName"] = node
        return pod

    await verbs.modify(call, change)
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now, "lastProbeTime": None}
    call.subresource = "status"

    def note(pod: Object) -> Object:
        status = pod.setdefault("status", {})
        kept = [each for each in status.get("conditions") or () if each.get("type") != "PodScheduled"]
        status["conditions"] = [*kept, {key: value for key, value in scheduled.items() if value is not None}]
        return pod

    await verbs.modify(call, note)
    return _status()


# -- eviction


async def evict(verbs: Verbs, call: Call, body: Any, registry: Registry) -> Object:
    """Delete a Pod if no disruption budget forbids it; 429 when one does."""
    document = body if isinstance(body, dict) else {}
    options = DeleteOptions.parse(document.get("deleteOptions"), {})
    pod = verbs.get(call)
    if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed", "Pending"):
        for budget in verbs.store.objects(BUDGETS, call.namespace):
            wanted = (budget.get("spec") or {}).get("selector")
            if not selectors.matches(selectors.from_spec(wanted), pod["metadata"].get("labels")):
                continue
            allowed = (budget.get("status") or {}).get("disruptionsAllowed") or 0
            if allowed <= 0 or not _is_observed(budget):
                refusal = errors.too_many_requests(
                    "Cannot evict pod as it would violate the pod's disruption budget.", retry_after=10
                )
                name = budget["metadata"]["name"]
                text = f"The disruption budget {name} needs more healthy pods before an eviction is allowed."
                refusal.details = {
                    "retryAfterSeconds": 10,
                    "causes": [{"reason": "DisruptionBudget", "message": text}],
                }
                raise refusal
            if not call.dry_run:
                await _spend(verbs, call, registry, budget["metadata"]["name"])
    call.verb, call.subresource = "delete", ""
    await verbs.delete(call, options)
    return _status()


async def _spend(verbs: Verbs, call: Call, registry: Registry, name: str) -> None:
    """One disruption fewer until the budget is counted again."""
    kind = registry.by_resource(*BUDGETS)
    if kind is None:
        return
    now = meta.timestamp(verbs.clock())

    def change(budget: Object) -> Object:
        status = budget.setdefault("status", {})
        status["disruptionsAllowed"] = (status.get("disruptionsAllowed") or 0) - 1
        status.setdefault("disruptedPods", {})[call.name] = now
        return budget

    await verbs.modify(Call(kind, "patch", call.user, call.namespace, name, "status", manager=call.manager), change)


def _is_observed(budget: Object) -> bool:
    seen = (budget.get("status") or {}).get("observedGeneration") or 0
    return bool(seen >= (budget["metadata"].get("generation") or 0))


# -- logs


async def logs(
    verbs: Verbs, call: Call, query: Mapping[str, str], session: aiohttp.ClientSession
) -> AsyncIterator[bytes]:
    """What a container wrote, as the kubelet of the Pod's node has it."""
    pod = verbs.get(call)
    container = _container(pod, query.get("container", ""), call.name)
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    address = _kubelet(verbs, node)
    wanted = {key: query[key] for key in _LOG_OPTIONS if key in query}
    path = "/".join(quote(part, safe="") for part in (call.namespace, call.name, container))
    url = f"http://{address}/containerLogs/{path}?{urlencode(wanted)}"
    try:
        # A followed log may be silent for hours; only connecting is bounded.
        timeout = aiohttp.ClientTimeout(total=None, connect=5)
        async with session.get(url, timeout=timeout) as answer:
            if answer.status != 200:
                text = (await answer.text())[:500].strip()
                raise errors.StatusError(answer.status, "BadRequest" if answer.status == 400 else "NotFound", text)
            async for chunk in answer.content.iter_any():
                yield chunk
    except aiohttp.ClientError as error:
        raise errors.internal(f"the kubelet of node {node} cannot be reached at {address}: {error}") from error


def _container(pod: Object, wanted: str, name: str) -> str:
    spec = pod.get("spec") or {}
    listed = [str(each.get("name")) for each in spec.get("containers") or ()]
    initial = [str(each.get("name")) for each in spec.get("initContainers") or ()]
    if wanted:
        if wanted not in (*listed, *initial):
            raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(listed) != 1:
        annotated = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
        if annotated in listed:
            return str(annotated)
        choices = " ".join(listed)
        raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    return listed[0]


def _kubelet(verbs: Verbs, node: str) -> str:
    entry = verbs.store.get(NODES, "", node)
    if entry is None:
        raise errors.not_found("nodes", "", node)
    status = entry.obj.get("status") or {}
    addresses = {each.get("type"): each.get("address") for each in status.get("addresses") or ()}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    host = addresses.get("InternalIP") or addresses.get("Hostname")
    if not host or not port:
        raise errors.internal(f"node {node} names no kubelet endpoint in its status")
    return f"{host}:{port}"
