"""A spec becomes a RuntimeShape: `resolve`, the only way from one to the other.

Called by the controller before it renders, by the webhook to judge what a spec comes to, and by the
plugin to explain it. Pure and deterministic.
"""

from __future__ import annotations

from crds.v1.runtime_shape import RuntimeShape

__all__ = ["RuntimeShape"]
