"""The contract, version 1: the Kubernetes types and the pure rules about them.

Everything here is a value or a function of values: parse, default, validate, resolve, fold. Every
component imports it and it imports none of them. It never talks to a cluster, reads a clock or opens
a file.

The usual path of a runtime: `defaulting.default_xtrinode` -> `meta.parse` ->
`validation.validate_xtrinode` -> `shape.resolve`. After `resolve` nobody reads the spec again.
"""
