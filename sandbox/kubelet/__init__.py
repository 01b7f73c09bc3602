"""The workload side of the sandbox: Deployments become ReplicaSets, Pods and EndpointSlices, pods become processes.

Started as `python -m sandbox.kubelet` beside the embedded API server. It talks to that server as a cluster's
own controllers and kubelet would, through the API alone, so the control plane's parts see what they would see
on a cluster. It isolates nothing: a container is a local process of the user who started the sandbox.
"""
