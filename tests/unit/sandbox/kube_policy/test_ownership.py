"""The graph of owners: always in step with what it was told, and never of two minds about one object."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.ownership import FOREGROUND, ORPHAN, Collect, Disown, Ownership, Release, node_of
from sandbox.kube.store import GroupResource

PODS = GroupResource("", "pods")
UIDS = "abcde"


def node(uid, owners=(), *, deleting=False, finalizers=(), blocks=True, namespace="ns"):
    references = [
        {"uid": owner, "apiVersion": "v1", "kind": "Pod", "name": owner, "blockOwnerDeletion": blocks}
        for owner in owners
    ]
    metadata = {"uid": uid, "name": uid, "namespace": namespace, "ownerReferences": references}
    metadata["finalizers"] = list(finalizers)
    if deleting:
        metadata["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return node_of(PODS, {"metadata": metadata})


def served(_api_version, _kind):
    return True


def graph(*nodes):
    ownership = Ownership()
    for each in nodes:
        ownership.add(each)
    return ownership


def test_an_object_without_owners_is_nobodys_business():
    assert graph(node("a")).decide("a", served) is None


def test_the_last_owner_takes_it_along():
    ownership = graph(node("a"), node("b", "a"))
    assert ownership.decide("b", served) is None
    assert ownership.remove(node("a")) == ["b"]
    assert ownership.decide("b", served) == Collect("Background")


def test_the_finalizer_orphan_of_the_object_itself_is_respected():
    assert graph(node("b", "a", finalizers=[ORPHAN])).decide("b", served) == Collect("Orphan")


def test_one_of_two_owners_is_forgotten():
    assert graph(node("b"), node("c", "ab")).decide("c", served) == Disown(frozenset("a"))


def test_an_owner_that_waits_is_followed_in_the_foreground():
    ownership = graph(node("a", deleting=True, finalizers=[FOREGROUND]), node("b", "a"), node("c", "b"))
    assert ownership.decide("b", served) == Collect("Foreground")
    assert ownership.decide("a", served) is None
    ownership.remove(node("b", "a"))
    assert ownership.decide("a", served) == Release(FOREGROUND)


def test_an_orphaning_owner_names_its_dependents():
    ownership = graph(node("a", deleting=True, finalizers=[ORPHAN]), node("b", "a"))
    decided = ownership.decide("a", served)
    assert isinstance(decided, Release) and [each.uid for each in decided.dependents] == ["b"]


nodes = st.builds(
    node,
    st.sampled_from(UIDS),
    st.lists(st.sampled_from(UIDS), unique=True, max_size=3),
    deleting=st.booleans(),
    finalizers=st.lists(st.sampled_from([FOREGROUND, ORPHAN, "test.io/x"]), unique=True, max_size=2),
    blocks=st.booleans(),
    namespace=st.sampled_from(["ns", "other", ""]),
)


@given(st.lists(st.tuples(st.booleans(), nodes), max_size=25))
def test_any_history_leaves_the_graph_in_step(history):
    ownership, living = Ownership(), {}
    for gone, each in history:
        if gone:
            living.pop(each.uid, None)
            ownership.remove(each)
        else:
            living[each.uid] = each
            ownership.add(each)
        for uid in UIDS:
            expected = sorted(one.uid for one in living.values() if uid in {owner.uid for owner in one.owners})
            assert [one.uid for one in ownership.dependents(uid)] == expected
            decided = ownership.decide(uid, served)
            if uid not in living:
                assert decided is None
            elif isinstance(decided, Collect):
                # What is collected has owners, and none of them is there to stay.
                assert living[uid].owners and not living[uid].deleting
                for owner in living[uid].owners:
                    there = living.get(owner.uid)
                    assert there is None or there.namespace not in ("", living[uid].namespace) or there.deleting
