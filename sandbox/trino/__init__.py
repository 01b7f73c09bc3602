"""A stand-in for a Trino server: the same configuration files, client protocol and SQL, in Python.

The sandbox's kubelet starts it in the place of the `trinodb/trino` image, once per pod, as a
coordinator or as a worker; tests start it to have the other side of the wire. It executes SQL with
DuckDB after translating Trino's dialect. It is not an engine for real work: one process answers
every query, and workers only take part in membership and graceful shutdown.

This package imports nothing on its own, so that the health check stays fast.
"""
