"""The real control plane for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok nodes.

`binaries()` says where they are (None when they are not: `make controlplane` builds them, KUBEBUILDER_ASSETS wins);
`ControlPlane` runs them on loopback with their own certificates and a kubeconfig for a cluster administrator, and
takes every process down again by pid. When its owner is killed the kernel ends them, and the next one to start removes
the folder that was left. kwok gives pods a life without containers: they turn Ready at once, or as the
annotations below say, by the stages in `kwok/stages.yaml`. A pod that selects a node label which no node has stays
unschedulable, by the real scheduler.

Pods get multicast addresses (239.0.0.0/8). The API takes them, and the kernel refuses every TCP connection to one on
the spot: whatever a part under test does with a pod's address, no packet leaves this machine.

Calls by service accounts of our namespaces are audited (who, verb, resource, answer): `audit_log` is the file.

`python -m tests.support.control_plane` runs one until its standard input ends, for people and for benchmarks: it prints
where everything is as one JSON line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.processes import end_with_parent
from tests.support.authority import Authority, pem
from tests.support.etcd import Etcd
from tests.support.owned_folder import OwnedFolder

REPOSITORY = Path(__file__).resolve().parents[2]
CONTROLLERS = (
    "garbage-collector-controller,namespace-controller,deployment-controller,replicaset-controller,"
    "endpointslice-controller,serviceaccount-controller,root-ca-certificate-publisher-controller,disruption-controller,"
    "serviceaccount-token-controller,resourcequota-controller,node-lifecycle-controller,"
    "clusterrole-aggregation-controller"
)
# Annotations on a pod that choose its stage.
START_DELAY = "kwok.xtrinode.io/start-delay"  # seconds until Ready, e.g. "5s"
START = "kwok.xtrinode.io/start"  # "crash": the container waits in CrashLoopBackOff and never turns Ready
EVICT = "kwok.xtrinode.io/evict"  # on a running pod, "true": the node is short of memory and the pod fails as Evicted

POD_NETWORK = "239.0.0.1/8"
# Somebody else may take a port between our choice and its use.
_ATTEMPTS = 3
AUDITED_NAMESPACES = ("xtrinode-system", "xtrinode-gateway")
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{name}" for name in AUDITED_NAMESPACES]},
        {"level": "None"},
    ],
}


class ProcessEnded(RuntimeError):
    """A process of the control plane ended by itself; the message has the end of its log."""


def binaries() -> Path | None:
    """The directory that holds the control plane's binaries, None when there is none."""
    found = _where().stdout.strip()
    return Path(found) if found else None


def why_absent() -> str:
    """What to tell whoever runs the tests without the binaries."""
    return _where().stderr.strip()


def _where() -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "tools" / "build-controlplane"), "--where"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _environment(home: Path) -> dict[str, str]:
    # Less collection, more memory (some hundred MiB): a seventh of the API server's time. With thousands of runtimes
    # that would be more than a machine has, so beyond the limit it collects as often as it must.
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "GOGC": "400", "GOMEMLIMIT": "6GiB"}


class ControlPlane:
    """One control plane; a context manager. `nodes` kwok nodes, large enough for five thousand runtimes."""

    def __init__(self, directory: Path, *, nodes: int = 3, workloads: bool = True) -> None:
        self._bin = directory
        self._nodes = nodes
        self._workloads = workloads
        # To the kernel the parent is a thread: one that lives as long as this object does, whoever calls `start`.
        self._launcher = ThreadPoolExecutor(1, "control-plane")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}
        self._folder = OwnedFolder("xtrinode-control-plane-")
        self.directory = self._folder.path
        self.kubeconfig = self.directory / "kubeconfig"
        self.audit_log = self.directory / "audit.log"
        self.ready_after = 0.0  # seconds from start to a ready API server

    def __enter__(self) -> ControlPlane:
        try:
            self._start_with_new_ports()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._end_all()
        self._launcher.shutdown()
        self._folder.remove()

    def _end_all(self) -> None:
        for name in reversed(list(self._processes)):
            self.kill(name, signal.SIGTERM if name != "kube-apiserver" else signal.SIGKILL)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one process of the control plane, and wait for it."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start(self, name: str) -> None:
        """Start a process again that was killed; returns when the API server is ready."""
        self._spawn(name, self._commands[name])
        if name == "kube-apiserver":
            self._wait(self._api_server_is_ready, name)

    def pause(self, name: str) -> None:
        """Stop a process from answering, without closing its connections: a stalled network."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGCONT)

    def compact(self) -> None:
        """Compact etcd at its newest revision: older watches then end with 410 Gone."""
        self.etcd.compact()

    # -- start ----------------------------------------------------------------------------------------------------

    def _start_with_new_ports(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start()
            except ProcessEnded:
                if attempt == _ATTEMPTS:
                    raise
                self._end_all()
                shutil.rmtree(self.directory / "etcd", ignore_errors=True)
            else:
                return

    def _start(self) -> None:
        began = time.monotonic()
        etcd_port, etcd_peer, self.port, manager_port, scheduler_port, kwok_port = free_ports(6)
        authority = Authority("xtrinode-test-ca")
        files = self._write_certificates(authority)
        etcd = f"http://127.0.0.1:{etcd_port}"
        self.etcd = Etcd(etcd)
        peer = f"http://127.0.0.1:{etcd_peer}"
        self._spawn(
            "etcd",
            ["etcd", f"--data-dir={self.directory / 'etcd'}", f"--listen-client-urls={etcd}"]
            + [f"--advertise-client-urls={etcd}", f"--listen-peer-urls={peer}", f"--initial-cluster=default={peer}"]
            + [f"--initial-advertise-peer-urls={peer}", "--unsafe-no-fsync=true", "--log-level=error"]
            + [f"--quota-backend-bytes={8 << 30}"],
        )
        self._spawn(
            "kube-apiserver",
            ["kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={self.port}"]
            + [f"--tls-cert-file={files['apiserver.crt']}", f"--tls-private-key-file={files['apiserver.key']}"]
            + [f"--client-ca-file={files['ca.crt']}", "--authorization-mode=RBAC", "--allow-privileged=true"]
            + [f"--service-account-issuer=https://127.0.0.1:{self.port}", "--service-cluster-ip-range=10.96.0.0/16"]
            + [f"--service-account-key-file={files['sa.pub']}", f"--service-account-signing-key-file={files['sa.key']}"]
            + ["--endpoint-reconciler-type=none", f"--cert-dir={self.directory / 'apiserver'}", "--profiling=false"]
            + ["--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--shutdown-delay-duration=0s"]
            + ["--max-mutating-requests-inflight=0", "--advertise-address=10.96.0.1"]
            + [f"--audit-policy-file={files['audit.yaml']}", f"--audit-log-path={self.audit_log}"]
            # In megabytes: readers of the log keep their place in it, so it must not be rotated under them.
            + ["--audit-log-maxsize=100000"],
        )
        self._wait(self._api_server_is_ready, "kube-apiserver")
        self.ready_after = time.monotonic() - began
        if not self._workloads:
            return
        self._spawn(
            "kube-controller-manager",
            ["kube-controller-manager", f"--kubeconfig={self.kubeconfig}", f"--controllers={CONTROLLERS}"]
            + ["--leader-elect=false", f"--root-ca-file={files['ca.crt']}", "--bind-address=127.0.0.1"]
            + [f"--service-account-private-key-file={files['sa.key']}", f"--secure-port={manager_port}"]
            + ["--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-deployment-syncs=20"]
            + ["--concurrent-replicaset-syncs=20", "--concurrent-gc-syncs=20", "--concurrent-namespace-syncs=20"],
        )
        self._spawn(
            "kube-scheduler",
            ["kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
            + [f"--secure-port={scheduler_port}", "--kube-api-qps=500", "--kube-api-burst=1000"],
        )
        self._spawn(
            "kwok",
            [
                "kwok",
                f"--kubeconfig={self.kubeconfig}",
                "--manage-all-nodes=true",
                f"--cidr={POD_NETWORK}",
                "--node-ip=127.0.0.1",
                f"--server-address=127.0.0.1:{kwok_port}",
            ]
            + [f"--config={Path(__file__).parent / 'kwok' / 'stages.yaml'}", "--node-lease-duration-seconds=40"],
        )
        self._create_nodes()
        self._wait(self._nodes_are_ready, "kwok")
        for name, port in (("kube-controller-manager", manager_port), ("kube-scheduler", scheduler_port)):
            self._wait(lambda port=port: _is_healthy(port), name)  # type: ignore[misc]

    def _write_certificates(self, authority: Authority) -> dict[str, Path]:
        service_account = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        names = ("127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        server_certificate, server_key = authority.issue("kube-apiserver", addresses=names)
        admin_certificate, admin_key = authority.issue("kubernetes-admin", organization="system:masters")
        contents = {
            "audit.yaml": yaml.safe_dump(_AUDIT_POLICY).encode(),
            "ca.crt": authority.certificate_pem,
            "apiserver.crt": server_certificate,
            "apiserver.key": server_key,
            "admin.crt": admin_certificate,
            "admin.key": admin_key,
            "sa.key": pem(service_account),
            "sa.pub": service_account.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        }
        files: dict[str, Path] = {}
        for name, content in contents.items():
            files[name] = self.directory / name
            files[name].touch(0o600)
            files[name].write_bytes(content)
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(files["ca.crt"])}
        user = {"client-certificate": str(files["admin.crt"]), "client-key": str(files["admin.key"])}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(yaml.safe_dump(document))
        self._context = ssl.create_default_context(cafile=str(files["ca.crt"]))
        self._context.load_cert_chain(files["admin.crt"], files["admin.key"])
        return files

    def _spawn(self, name: str, command: list[str]) -> None:
        self._commands[name] = command

        def launch() -> subprocess.Popen[bytes]:
            with (self.directory / f"{name}.log").open("ab") as log:
                return subprocess.Popen(
                    [str(self._bin / command[0]), *command[1:]],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=_environment(self.directory),
                    preexec_fn=end_with_parent,
                )

        self._processes[name] = self._launcher.submit(launch).result()

    def _wait(self, is_ready: Callable[[], bool], name: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while True:
            for one, process in self._processes.items():
                if (code := process.poll()) is not None:
                    raise ProcessEnded(f"{one} ended with exit code {code}:\n{self.tail(one)}")
            last: Exception | None = None
            try:
                if is_ready():
                    return
            except (urllib.error.URLError, OSError) as error:
                last = error
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not ready after {timeout:g} s: {last}\n{self.tail(name)}") from last
            time.sleep(0.05)

    def _api_server_is_ready(self) -> bool:
        self._ask("/readyz")
        return True

    def _nodes_are_ready(self) -> bool:
        nodes = json.loads(self._ask("/api/v1/nodes"))["items"]
        conditions = [one for node in nodes for one in node["status"].get("conditions", ())]
        return sum((one["type"], one["status"]) == ("Ready", "True") for one in conditions) == self._nodes

    def _ask(self, path: str, body: object = None) -> bytes:
        """The API server's answer to its administrator."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10, context=self._context) as answer:
            return bytes(answer.read())

    def tail(self, name: str, lines: int = 20) -> str:
        """The end of a process's log."""
        return "\n".join((self.directory / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def _create_nodes(self) -> None:
        for number in range(self._nodes):
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"kwok-{number}", "labels": {"kubernetes.io/hostname": f"kwok-{number}"}},
                "status": {
                    "capacity": {"cpu": "16384", "memory": "128Ti", "pods": "20000"},
                    "allocatable": {"cpu": "16384", "memory": "128Ti", "pods": "20000"},
                },
            }
            self._ask("/api/v1/nodes", node)

    def pids(self) -> dict[str, int]:
        """Process ids by name, for measurements."""
        return {name: process.pid for name, process in self._processes.items()}


def _is_healthy(port: int) -> bool:
    """A controller's own report. It makes its certificate itself, and nothing is sent to it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=5, context=context):
        return True


def main() -> None:
    directory = binaries()
    if directory is None:
        raise SystemExit(why_absent())
    # Whoever says "end" gets the same end, however it is said. A shell's background jobs start deaf to Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), ControlPlane(directory) as control_plane:
        told = {
            "kubeconfig": str(control_plane.kubeconfig),
            "audit_log": str(control_plane.audit_log),
            "ready_after": round(control_plane.ready_after, 2),
            "pids": control_plane.pids(),
        }
        print(json.dumps(told), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
