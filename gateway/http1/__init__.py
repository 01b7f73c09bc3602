"""HTTP/1.1 without I/O: what the bytes of a connection mean, and which bytes go on.

Bytes in, values out: a head that is not worth trusting becomes a `Problem` (a value, with the status to answer),
never an exception. The proxy calls this once per head and once per piece of a chunked body; nothing here knows
sockets, clocks, routes or Trino.

It is stricter than the RFCs ask wherever two readers could disagree on where a message ends: what this package
accepts, any other parser must read alike, because the bytes are passed on rather than written anew.
"""
