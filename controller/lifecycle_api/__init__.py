"""Lifecycle over HTTP: list, status, resume and suspend of runtimes, for the gateway and for people's tools.

Any number of replicas; a short Lease per runtime and operation lets one of many simultaneous callers write. It only
leaves a request on the object (the command annotations); the controller alone acts on it.
"""
