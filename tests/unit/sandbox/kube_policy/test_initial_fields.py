"""New objects of built-in kinds show what they show on a cluster before a controller has seen them."""

from sandbox.kube.initial_fields import complete


def completed(kind, spec):
    obj = {"spec": spec}
    complete(kind, obj)
    return obj


def test_statuses_are_there_and_not_shared():
    first, second = completed("Service", {}), completed("Service", {})
    assert first["status"] == {"loadBalancer": {}}
    first["status"]["loadBalancer"]["x"] = 1
    assert second["status"] == {"loadBalancer": {}}
    assert "status" not in completed("ConfigMap", {})


def test_counts_that_a_controller_leaves_out_are_nought():
    changed = {"spec": {}, "status": {"replicas": 3}}
    complete("StatefulSet", changed)
    assert changed["status"] == {"replicas": 3, "availableReplicas": 0}


def test_one_direction_of_scaling_brings_the_other():
    spec = completed("HorizontalPodAutoscaler", {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}})["spec"]
    assert spec["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 60,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    assert len(spec["behavior"]["scaleUp"]["policies"]) == 2
    assert "behavior" not in completed("HorizontalPodAutoscaler", {"maxReplicas": 3})["spec"]


def test_autoscaler_without_metrics_follows_the_cpu():
    (metric,) = completed("HorizontalPodAutoscaler", {"maxReplicas": 3})["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}


def test_ports_of_network_policies_have_a_protocol():
    spec = completed("NetworkPolicy", {"ingress": [{"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}, {}]})[
        "spec"
    ]
    assert [port["protocol"] for port in spec["ingress"][0]["ports"]] == ["TCP", "UDP"]
