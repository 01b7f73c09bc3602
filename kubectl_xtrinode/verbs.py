"""The verbs, as a table that costs nothing to import: the help and the completion read it."""

from __future__ import annotations

# Verb -> (module, one line of help). The help is stated here so that the list needs no import.
COMMANDS = {
    "get": ("get", "List runtimes, catalogs or routes."),
    "status": ("status", "Show one runtime whole: conditions, pods, route, events."),
    "suspend": ("suspend", "Put runtimes to sleep, after their queries have ended."),
    "resume": ("resume", "Wake runtimes up."),
    "sql": ("sql", "Run SQL on a runtime through the gateway."),
}
