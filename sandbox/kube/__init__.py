"""The embedded Kubernetes API server: what `kubectl`, kr8s and our own parts talk to in the sandbox."""
