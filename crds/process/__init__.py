"""What every server process of XTrinode has in common: settings, logs, the management port, its stop signals.

A shell: the components' wiring imports it, their cores do not. It knows nothing of Kubernetes or Trino.
"""
