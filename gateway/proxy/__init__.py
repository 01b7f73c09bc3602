"""The data path: client connections in, coordinator connections out, bytes between them.

Two protocol classes driven by the event loop's callbacks and nothing else: no task, future or timer per request.
The only tasks are opening a connection and asking around for a query's owner. What to do with a request is the
router's decision; what its bytes mean is `gateway.http1`'s; how an answer of our own looks is in `answers`.

Wiring makes one `ProxyServer` per process and calls its `sweep` about once a second.
"""
