"""The workload controllers of the sandbox: Deployments, ReplicaSets, EndpointSlices.

Each kind has one pure module that says what to do next from what is observed, and one shared shell that does it.
"""
