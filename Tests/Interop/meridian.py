"""Real Meridian processes for the tests: regions and meshes on free ports, with data in temporary directories."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pulsar
import requests

BINARY = os.environ.get("MERIDIAN_BIN", str(pathlib.Path(__file__).parents[2] / ".build/debug/meridian"))


# Below the range (32768 and up) from which the system takes ports for outgoing connections: such a port could be taken
# while the region that owns it is stopped. Each is handed out once in a run; runs side by side start elsewhere.
_PORTS = range(20_000, 26_000)
_next_port = itertools.count(os.getpid() * 97)


def free_ports(count):
    """Ports that nothing listens on."""
    ports = []
    for number in itertools.islice(_next_port, len(_PORTS)):
        if len(ports) == count:
            break
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    assert len(ports) == count, f"no {count} free ports in {_PORTS}"
    return ports


def eventually(check, within=20, every=0.05, what="the condition"):
    """Waits until `check()` is truthy and returns it; an exception counts as not yet."""
    deadline = time.monotonic() + within
    last = None
    while time.monotonic() < deadline:
        try:
            value = check()
            if value:
                return value
            last = value
        except Exception as error:  # noqa: BLE001 - the last one is reported
            last = error
        time.sleep(every)
    raise AssertionError(f"{what} did not hold within {within} s; last: {last!r}")


class Region:
    """One `meridian standalone` process."""

    def __init__(self, directory, name="standalone"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.pulsar_port, self.tls_port, self.admin_port = free_ports(3)
        self.process = None

    url = property(lambda self: f"pulsar://127.0.0.1:{self.pulsar_port}")
    tls_url = property(lambda self: f"pulsar+ssl://127.0.0.1:{self.tls_port}")
    admin_url = property(lambda self: f"http://127.0.0.1:{self.admin_port}")
    ca = property(lambda self: str(self.directory / "data/certs/ca.crt"))

    def start(self):
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [
                BINARY, "standalone", "--data", str(self.directory / "data"), "--cluster", self.name,
                "--pulsar-port", str(self.pulsar_port), "--pulsar-tls-port", str(self.tls_port),
                "--admin-port", str(self.admin_port), "--bind-address", "127.0.0.1",
                "--advertised-address", "127.0.0.1",
            ],
            stdout=log, stderr=log)
        eventually(self.is_serving, within=60, what=f"region {self.name} serves")
        return self

    def is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"region {self.name} ended: {(self.directory / 'log').read_text()[-2000:]}")
        return requests.get(self.admin_url + "/admin/v2/brokers/health", timeout=2).status_code == 200

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise AssertionError(f"region {self.name} did not stop within 15 s of SIGTERM")

    def admin(self, method, path, body=None, ok=(200, 204)):
        answer = requests.request(
            method, f"{self.admin_url}/admin/v2/{path}", data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"}, timeout=30)
        assert answer.status_code in ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def client(self, **options):
        return pulsar.Client(self.url, operation_timeout_seconds=20, logger=quiet(), **options)


class Mesh:
    """A mesh of `meridian mesh up --detach`, on free ports."""

    def __init__(self, directory, regions=("us", "eu"), rtt="0ms", namespace="demo/orders", options=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "mesh"
        self.names = list(regions)
        self.namespace = namespace
        ports = free_ports(3 * len(regions))
        self.ports = {name: ports[3 * i:3 * i + 3] for i, name in enumerate(regions)}
        lines = ["regions:"]
        for name, (pulsar_port, tls_port, admin_port) in self.ports.items():
            lines.append(f"  {name}: {{ pulsar: {pulsar_port}, pulsarTls: {tls_port}, admin: {admin_port} }}")
        lines.append("links:")
        for i, a in enumerate(regions):
            for b in regions[i + 1:]:
                lines.append(f"  - {{ between: [{a}, {b}], rtt: {rtt} }}")
        everywhere = ", ".join(regions)
        lines += [
            "tenants:", f"  {namespace.split('/')[0]}: {{ regions: [{everywhere}] }}", "namespaces:",
            f"  {namespace}: {{ regions: [{everywhere}], deduplication: true, replicationStartAt: earliest }}",
        ]
        self.topology = self.directory / "topology.yaml"
        self.topology.write_text("\n".join(lines) + "\n")

    def cli(self, *arguments, ok=(0,), timeout=120):
        result = subprocess.run(
            [BINARY, *arguments], capture_output=True, text=True, timeout=timeout, env={**os.environ, "LANG": "C.UTF-8"})
        assert result.returncode in ok, f"meridian {' '.join(arguments)}: {result.returncode}\n{result.stdout}\n{result.stderr}\n{self.logs()}"
        return result

    def logs(self):
        text = ""
        for log in [self.data / "mesh.log", *self.data.glob("regions/*/meridian.log")]:
            if log.exists():
                text += f"--- {log}\n{log.read_text()[-1500:]}\n"
        return text

    def up(self):
        self.cli("mesh", "up", str(self.topology), "--data", str(self.data), "--detach")
        return self

    def down(self):
        self.cli("mesh", "down", "--data", str(self.data), ok=(0, 1))

    def status(self):
        return json.loads(self.cli("mesh", "status", "--json", "--data", str(self.data)).stdout)

    def pid(self, name):
        return next(r.get("pid") for r in self.status()["regions"] if r["name"] == name)

    def kill(self, name):
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid), what=f"region {name} is dead")

    def wan(self, *arguments):
        return self.cli("mesh", "wan", *arguments, "--data", str(self.data))

    def lag(self, *arguments, ok=(0, 1, 2, 3)):
        result = self.cli("lag", "--json", "--data", str(self.data), *arguments, ok=ok)
        return json.loads(result.stdout), result.returncode

    def url(self, name):
        return f"pulsar://127.0.0.1:{self.ports[name][0]}"

    def admin_url(self, name):
        return f"http://127.0.0.1:{self.ports[name][2]}"

    def client(self, name, **options):
        return pulsar.Client(self.url(name), operation_timeout_seconds=30, logger=quiet(), **options)

    def admin(self, name, method, path, body=None, ok=(200, 204)):
        answer = requests.request(
            method, f"{self.admin_url(name)}/admin/v2/{path}", data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"}, timeout=30)
        assert answer.status_code in ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def quiet():
    """A logger that keeps the client library's chatter out of the test output."""
    import logging

    logger = logging.getLogger("pulsar")
    logger.setLevel(logging.CRITICAL)
    return logger
