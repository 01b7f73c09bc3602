"""`kubectl xtrinode`: friendly verbs for runtimes and catalogs.

Start-up time is a feature: nothing here imports an event loop, kr8s or pydantic, and each command is loaded only
when it is called.
"""
