"""For all tests: generated cases are judged by what they show and never by how long they take."""

from hypothesis import settings

# A busy machine makes any single case slow; whole tests have the time-out of pyproject.toml.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
