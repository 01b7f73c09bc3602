"""The gateway's routing core: pure and synchronous.

`Router` is its one front: the proxy asks it per request, the shells feed it (routes, addresses, probes).
No module here opens a socket, reads a clock or awaits: `now` (seconds, monotonic) is an argument.
"""
