"""The verbs of the API on objects: get, create, update, patch, delete, deletecollection.

The HTTP shell, the sub-resources and the server's own controllers (garbage collection, namespaces, CRDs) call
`Verbs` with a `Call` that says what is asked and by whom; permission was decided before. Here are the order of
defaulting, admission and validation, optimistic locking, finalizers and graceful deletion. Results are objects in
the version that was asked for and must not be changed. Listing and watching read the store on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from sandbox.kube import causes, deletion, errors, meta, patching, typed_config
from sandbox.kube.admission import Admission
from sandbox.kube.apply import Conflicts, Writer, apply_config, track_update
from sandbox.kube.call import Call, DeleteOptions
from sandbox.kube.errors import StatusError, Undecodable
from sandbox.kube.fields import BadFields, Path
from sandbox.kube.intake import read_body, read_named, require_object, wrong_name
from sandbox.kube.merge import BadItem
from sandbox.kube.resources import Kind
from sandbox.kube.store import Entry, GroupResource, Store
from sandbox.kube.webhook_match import AdmissionRequest

__all__ = ["Call", "DeleteOptions", "Verbs"]

Object = dict[str, Any]
Change = Callable[[Object], Object]

NAMESPACES: Final = GroupResource("", "namespaces")
_ATTEMPTS: Final = 8  # of a patch that lost a race, as in the real server


class Verbs:
    """Reads and writes of objects. `clock` says what time it is."""

    def __init__(self, store: Store, clock: Callable[[], datetime], admission: Admission) -> None:
        self.store = store
        self.clock = clock
        self.admission = admission

    # -- get

    def entry(self, call: Call) -> Entry:
        """The stored object of a call; NotFound."""
        found = self.store.get(call.kind.table, call.namespace, call.name)
        if found is None:
            raise errors.not_found(call.kind.plural, call.kind.group, call.name)
        return found

    def get(self, call: Call) -> Object:
        return call.kind.shown(self.entry(call).obj)

    # -- create

    async def create(self, call: Call, body: Any) -> Object:
        """Store a new object, given as a client sent it."""
        obj = read_body(call, body)
        for attempt in range(_ATTEMPTS):
            fresh = orjson.loads(orjson.dumps(obj))
            try:
                return await self._create(call, fresh, applied=False)
            except StatusError as error:
                generated = not obj["metadata"].get("name")
                if error.reason != "AlreadyExists" or not generated or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _create(self, call: Call, obj: Object, *, applied: bool) -> Object:
        kind = call.kind
        self._require_room(call)
        managed = obj["metadata"].get("managedFields") if applied else None
        meta.begin(kind, obj, call.namespace, self.clock())
        if call.name and obj["metadata"].get("name") != call.name:
            raise wrong_name(call, obj)
        call_name, call.name = call.name, obj["metadata"].get("name", "")
        self._complete(kind, obj, None)
        meta.tidy(obj["metadata"])
        mutated = await self._mutate(self._request(call, "CREATE", obj, None), call, None)
        obj = mutated if mutated is not None else obj
        if applied:
            if managed:  # an apply that mentions nothing but a name owns nothing
                obj["metadata"]["managedFields"] = managed
        else:
            empty = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
            obj = track_update(empty, obj, self._writer(call), created=True)
        kind.strategy.allocate(obj, None)
        self._judge(kind, obj, None)
        await self.admission.validate(self._request(call, "CREATE", obj, None), call.warnings)
        self._require_room(call)
        namespace, name = call.namespace, obj["metadata"]["name"]
        if call.dry_run:
            if self.store.get(kind.table, namespace, name) is not None:
                raise errors.already_exists(kind.plural, kind.group, name)
            return obj
        call.name = call_name or name
        return kind.shown(self.store.create(kind.table, namespace, name, self._stored(kind, obj)).obj)

    def _require_room(self, call: Call) -> None:
        """The namespace of a new object must exist and must not be on its way out."""
        if not call.kind.namespaced:
            return
        namespace = self.store.get(NAMESPACES, "", call.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", "", call.namespace)
        if namespace.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {call.namespace} because it is being terminated"
            refusal = errors.forbidden(call.kind.plural, call.kind.group, call.name, why)
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {call.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            refusal.details = {**(refusal.details or {}), "causes": [cause]}
            raise refusal

    # -- update and patch

    async def update(self, call: Call, body: Any) -> Object:
        """Replace an object (or its status) by what a client sent."""
        obj = read_body(call, body)
        wanted = obj["metadata"]
        if not wanted.get("name") and call.subresource:
            wanted["name"] = call.name
        elif not wanted.get("name"):
            why = "the name of the object (based on URL) was undeterminable: name must be provided"
            raise errors.bad_request(why)
        if wanted["name"] != call.name:
            raise wrong_name(call, obj)
        absent = self.store.get(call.kind.table, call.namespace, call.name) is None
        if absent and call.kind.put_creates and not call.subresource:
            return await self._put_new(call, obj)
        try:
            return await self.modify(call, lambda _old: orjson.loads(orjson.dumps(obj)))
        except StatusError as error:
            if error.code in (404, 409) and not call.kind.custom:
                # What is no object of its kind is told so first.
                call.kind.strategy.default(obj)
                call.kind.strategy.validate(obj, None)
            raise

    async def _put_new(self, call: Call, obj: Object) -> Object:
        uid = obj["metadata"].get("uid")
        if uid:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            raise errors.conflict(call.kind.plural, call.kind.group, call.name, why)
        call.may_create()
        made = await self._create(call, obj, applied=False)
        call.created = True
        return made

    async def patch(self, call: Call, content_type: str, body: bytes, document: Any) -> Object:
        """Change an object by a patch. `document` is the decoded body; None for a JSON patch."""
        if content_type == patching.APPLY_PATCH:
            return await self.apply(call, document)
        try:
            return await self._patch(call, content_type, body, document)
        except Undecodable as error:
            raise errors.bad_patch(error, body.decode(errors="replace")) from error

    async def _patch(self, call: Call, content_type: str, body: bytes, document: Any) -> Object:
        kind = call.kind
        if content_type == patching.JSON_PATCH:
            return await self.modify(call, lambda old: self._patched(call, patching.json_patch(old, body)))
        if content_type == patching.MERGE_PATCH:
            require_object(document)
            return await self.modify(
                call,
                lambda old: self._patched(call, patching.merge_patch(old, orjson.loads(orjson.dumps(document)))),
            )
        if content_type == patching.STRATEGIC_PATCH:
            if kind.custom:
                raise patching.no_strategic_patch()
            require_object(document)
            return await self.modify(
                call,
                lambda old: self._patched(
                    call,
                    patching.strategic_patch(old, orjson.loads(orjson.dumps(document)), kind.schema),
                ),
            )
        raise errors.unsupported_media_type(
            f"the body of the request was in an unknown format - {content_type or 'no content type'}: use one of "
            + ", ".join((patching.JSON_PATCH, patching.MERGE_PATCH, patching.STRATEGIC_PATCH, patching.APPLY_PATCH))
        )

    def _patched(self, call: Call, obj: Any) -> Object:
        if not isinstance(obj, dict):
            raise errors.bad_request("the patch leaves no object")
        return read_named(call, obj)

    async def apply(self, call: Call, config: Any) -> Object:
        """Server-side apply: create the object or merge the configuration into it."""
        require_object(config)
        if not call.options.get("fieldManager"):
            raise _invalid_options("fieldManager", "is required for apply patch")
        self._require_typed(call, config)
        config = read_body(call, config)
        metadata = config["metadata"]
        if "managedFields" in metadata:
            raise errors.bad_request("metadata.managedFields must be nil")
        metadata.setdefault("name", call.name)
        if call.kind.namespaced:
            metadata.setdefault("namespace", call.namespace)
        if metadata["name"] != call.name:
            raise wrong_name(call, config)
        try:
            return await self._apply(call, config)
        except Undecodable as error:
            # It fitted the schema, so what is left to be wrong is how a value is written.
            raise StatusError(500, "", f"failed to convert new object to proper version: {error.message}") from error

    async def _apply(self, call: Call, config: Object) -> Object:
        metadata = config["metadata"]
        for attempt in range(_ATTEMPTS):
            if self.store.get(call.kind.table, call.namespace, call.name) is not None:
                return await self.modify(call, lambda old: self._applied(call, old, config), tracked=True)
            if call.subresource:
                raise errors.not_found(call.kind.plural, call.kind.group, call.name)
            if metadata.get("uid"):
                given = f"the provided object specified uid {metadata['uid']}"
                why = f"uid mismatch: {given}, and no existing object was found"
                raise errors.conflict(call.kind.plural, call.kind.group, call.name, why)
            call.may_create()
            empty = {"apiVersion": call.kind.api_version, "kind": call.kind.kind, "metadata": {}}
            try:
                fresh = orjson.loads(orjson.dumps(self._applied(call, empty, config)))
                made = await self._create(call, fresh, applied=True)
            except StatusError as error:
                if error.reason != "AlreadyExists" or attempt == _ATTEMPTS - 1:
                    raise
            else:
                call.created = True
                return made
        raise AssertionError("unreachable")

    def _require_typed(self, call: Call, config: Object) -> None:
        kind = call.kind
        if call.subresource:
            self.entry(call)
        if not isinstance(config.get("metadata", {}), dict) or config.get("kind", kind.kind) != kind.kind:
            return  # what is wrong there is said when the body is read
        wrong = typed_config.mismatches(config, kind.schema)
        if wrong:
            raise StatusError(500, "", typed_config.refusal(kind.api_version, kind.kind, config, wrong))
        if not kind.custom:
            return
        nulls = typed_config.stray_nulls({key: config[key] for key in config if key != "metadata"}, kind.schema)
        if nulls:
            raise errors.invalid(kind.kind, kind.group, call.name, nulls)

    def _applied(self, call: Call, old: Object, config: Object) -> Object:
        try:
            merged = apply_config(old, config, self._writer(call), force=call.force)
        except Conflicts as conflicts:
            raise conflicts.to_error() from None
        except (BadItem, BadFields) as error:
            text = typed_config.refusal(call.kind.api_version, call.kind.kind, config, [str(error)])
            raise StatusError(500, "", text) from error
        result: Object = orjson.loads(orjson.dumps(merged))
        return result

    async def modify(
        self,
        call: Call,
        change: Change,
        *,
        tracked: bool = False,
    ) -> Object:
        """Replace the live object by `change(copy of it)`; tried again after a lost race unless it names a version.

        `tracked` says that `change` already keeps `managedFields`.
        """
        for attempt in range(_ATTEMPTS):
            before = self.entry(call)
            old = call.kind.shown(before.obj)
            obj = change(orjson.loads(before.raw if old is before.obj else orjson.dumps(old)))
            wanted = obj["metadata"].get("resourceVersion")
            if wanted and wanted != str(before.revision):
                raise errors.conflict(call.kind.plural, call.kind.group, call.name, errors.MODIFIED)
            if not wanted and call.kind.versioned_updates:
                nought = causes.invalid("metadata.resourceVersion", 0, "must be specified for an update")
                raise errors.invalid(call.kind.plural, call.kind.group, call.name, [nought])
            self._require_same_uid(call, obj, old)
            changed = meta.changed_deletion(obj, old)
            if changed:
                raise errors.invalid(call.kind.kind, call.kind.group, call.name, changed)
            try:
                return await self._replace(call, obj, before, tracked=tracked)
            except StatusError as error:
                pinned = wanted and call.verb == "update"
                lost = error.code == 409 and error.message.endswith(errors.MODIFIED)
                if not lost or pinned or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _replace(self, call: Call, obj: Object, before: Entry, *, tracked: bool) -> Object:
        kind = call.kind
        old = kind.shown(before.obj)
        meta.carry_over(kind, obj, old, call.subresource)
        if call.subresource == "status":
            kind.strategy.default(obj)
        else:
            self._complete(kind, obj, old)
        meta.bump_generation(kind, obj, old)
        meta.tidy(obj["metadata"])
        if not tracked:
            obj = track_update(old, obj, self._writer(call))
        mutated = await self._mutate(self._request(call, "UPDATE", obj, old), call, old)
        if mutated is not None and mutated is not obj:
            obj = mutated
            meta.carry_over(kind, obj, old, call.subresource)
            meta.bump_generation(kind, obj, old)
        kind.strategy.allocate(obj, old)
        self._judge(kind, obj, old)
        await self.admission.validate(self._request(call, "UPDATE", obj, old), call.warnings)
        if _unchanged(obj, old):
            return old
        if call.dry_run:
            return obj
        stored = self._stored(kind, obj)
        if deletion.is_over(kind, obj):
            # The last finalizer is gone: this write is the deletion.
            return kind.shown(self.store.delete(kind.table, before, stored).obj)
        return kind.shown(self.store.update(kind.table, before, stored).obj)

    @staticmethod
    def _require_same_uid(call: Call, obj: Object, old: Object) -> None:
        wanted, actual = obj["metadata"].get("uid"), old["metadata"].get("uid")
        if wanted and wanted != actual and call.verb != "update":
            # Only a PUT names the object it means; a patch that carries another uid would change it.
            immutable = causes.invalid("metadata.uid", wanted, "field is immutable")
            raise errors.invalid(call.kind.kind, call.kind.group, call.name, [immutable])
        if wanted and wanted != actual:
            why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
            raise errors.conflict(call.kind.plural, call.kind.group, call.name, why)

    # -- delete

    async def delete(self, call: Call, options: DeleteOptions) -> tuple[Object, bool]:
        """Delete an object, or mark it when finalizers or grace keep it: its last state, and whether it is gone."""
        for attempt in range(_ATTEMPTS):
            before = self.entry(call)
            deletion.check_preconditions(call, options, before.obj)
            old = call.kind.shown(before.obj)
            request = self._request(call, "DELETE", None, old)
            await self._mutate(request, call, old)
            await self.admission.validate(request, call.warnings)
            try:
                return self._delete(call, options, before)
            except StatusError as error:
                if error.code != 409 or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _delete(self, call: Call, options: DeleteOptions, before: Entry) -> tuple[Object, bool]:
        kind = call.kind
        marked: Object = orjson.loads(before.raw)
        if deletion.mark(kind, marked, options, self.clock()):
            entry = before if call.dry_run else self.store.delete(kind.table, before)
            return kind.shown(entry.obj), True
        if marked == before.obj or call.dry_run:
            return kind.shown(marked), False
        return kind.shown(self.store.update(kind.table, before, marked).obj), False

    # -- shared steps

    @staticmethod
    def _complete(kind: Kind, obj: Object, old: Object | None) -> None:
        kind.strategy.default(obj)
        kind.strategy.prepare(obj, old)

    @staticmethod
    def _judge(kind: Kind, obj: Object, old: Object | None) -> None:
        found = meta.validate(kind, obj, old) + kind.strategy.validate(obj, old)
        if found:
            raise errors.invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), found)

    @staticmethod
    def _stored(kind: Kind, obj: Object) -> Object:
        stored = kind.encode(obj) if kind.encode is not None else obj
        return {**stored, "metadata": {**stored["metadata"]}}

    def _writer(self, call: Call) -> Writer:
        kind = call.kind
        return Writer(
            call.manager,
            kind.api_version,
            call.subresource,
            meta.timestamp(self.clock()),
            kind.schema,
            _only_status if call.subresource == "status" else _no_status if kind.has_status else _nothing,
            kind.zero,
        )

    async def _mutate(self, request: AdmissionRequest, call: Call, old: Object | None) -> Object | None:
        """The object after the mutating webhooks: `request.obj` itself when none changed it."""

        def complete(obj: Object) -> None:
            call.kind.strategy.prune(obj)
            self._complete(call.kind, obj, old)

        return await self.admission.mutate(request, call.warnings, complete)

    def _request(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> AdmissionRequest:
        kind = call.kind
        options = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
        if call.verb == "patch" and operation != "DELETE":
            options = dict.fromkeys(options, "PatchOptions")
        document: Object = {"kind": options[operation], "apiVersion": "meta.k8s.io/v1"}
        if call.options.get("fieldManager"):
            document["fieldManager"] = call.options["fieldManager"]
        if call.dry_run:
            document["dryRun"] = ["All"]
        return AdmissionRequest(
            operation=operation,
            group=kind.group,
            version=kind.version,
            resource=kind.plural,
            kind=kind.kind,
            name=call.name,
            namespace=call.namespace,
            subresource=call.subresource,
            user=call.user,
            obj=obj,
            old=old,
            options=document,
            dry_run=call.dry_run,
        )


def _nothing(_path: Path) -> bool:
    return False


def _no_status(path: Path) -> bool:
    return path[0] == "f:status"


def _only_status(path: Path) -> bool:
    return path[0] != "f:status"


def _invalid_options(field_name: str, why: str) -> StatusError:
    return errors.invalid("PatchOptions", "meta.k8s.io", "", [causes.required(field_name, why)])


def _unchanged(obj: Object, old: Object) -> bool:
    """Whether a write would change nothing but the times of field managers."""
    if obj.keys() != old.keys() or any(obj[key] != old[key] for key in obj if key != "metadata"):
        return False
    new_metadata, old_metadata = {**obj["metadata"]}, {**old["metadata"]}
    for metadata in (new_metadata, old_metadata):
        managed = metadata.pop("managedFields", None) or []
        timeless = [{k: v for k, v in entry.items() if k != "time"} for entry in managed]
        metadata["managedFields"] = sorted(timeless, key=lambda entry: orjson.dumps(entry, option=orjson.OPT_SORT_KEYS))
        metadata.pop("resourceVersion", None)
    return new_metadata == old_metadata
