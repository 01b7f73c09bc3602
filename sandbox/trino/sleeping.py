"""`sandbox_sleep(seconds)`: a function of the stand-in's own, so that a test can hold a query RUNNING.

Called by the engine before translation. The calls are taken out of the statement, each replaced by
TRUE, and the worker thread waits the sum of their arguments, cancellably.
"""

from __future__ import annotations

from sqlglot import exp

from sandbox.trino.errors import QueryFailure

NAME = "sandbox_sleep"


def take_sleeps(tree: exp.Expression) -> float:
    """Seconds to wait; the tree is changed in place."""
    total = 0.0
    for call in list(tree.find_all(exp.Anonymous)):
        if call.name.lower() != NAME:
            continue
        if len(call.expressions) != 1 or not isinstance(call.expressions[0], exp.Literal):
            raise QueryFailure("INVALID_FUNCTION_ARGUMENT", f"{NAME}(seconds) takes one literal number")
        try:
            total += float(call.expressions[0].this)
        except ValueError as error:
            raise QueryFailure("INVALID_FUNCTION_ARGUMENT", f"{NAME}(seconds) takes one literal number") from error
        call.replace(exp.Boolean(this=True))
    return total
