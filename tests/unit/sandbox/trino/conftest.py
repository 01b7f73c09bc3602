"""Property tests without a deadline: these run beside others on busy machines."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
