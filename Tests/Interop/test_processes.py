"""A region of many processes: etcd, bookies, a broker, and the real client."""

import json
import shutil
import signal
import socket
import subprocess

import pulsar
import pytest
import requests

from meridian import BINARY, eventually, free_ports, quiet

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")


class Processes:
    """What a region consists of, each part a process; its output is kept in the directory."""

    def __init__(self, directory, bookies=4):
        self.directory = directory
        self.etcd_port, peer, self.pulsar_port, self.tls_port, self.admin_port = free_ports(5)
        self.bookie_ports = free_ports(bookies)
        self.http_ports = free_ports(bookies)
        self.running = {}
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{peer}"
        self.commands = {
            "etcd": [
                "etcd", "--name", "test", "--data-dir", str(directory / "etcd"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"test={peer}", "--log-level", "error", "--unsafe-no-fsync",
            ],
            "broker": self.broker(self.pulsar_port, self.tls_port, self.admin_port),
        }
        for number, port in enumerate(self.bookie_ports, 1):
            self.commands[f"bookie-{number}"] = [
                BINARY, "bookie", "run", "--metadata-store-url", self.metadata, "--bookie-id", f"bookie-{number}",
                "--port", str(port), "--data", str(directory / f"bookie-{number}"),
                "--http-port", str(self.http_ports[number - 1]),
                "--network-location", f"/rack-{number}",
            ]

    metadata = property(lambda self: f"etcd://127.0.0.1:{self.etcd_port}/region-us")
    url = property(lambda self: f"pulsar://127.0.0.1:{self.pulsar_port}")

    def broker(self, pulsar_port, tls_port, admin_port):
        return [
            BINARY, "broker", "--metadata-store-url", self.metadata, "--cluster", "us",
            "--data", str(self.directory / "broker"), "--pulsar-port", str(pulsar_port),
            "--pulsar-tls-port", str(tls_port), "--admin-port", str(admin_port), "--bind-address", "127.0.0.1",
            "--advertised-address", "127.0.0.1",
        ]

    def log(self, name):
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def start(self, name):
        with open(self.directory / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(self.commands[name], stdout=log, stderr=log)

    def end(self, name, with_signal, within=30):
        process = self.running.pop(name)
        process.send_signal(with_signal)
        return process.wait(within)

    def up(self):
        for name in self.commands:
            self.start(name)
        eventually(self.serves, within=60, what="the broker serves")
        for number in range(1, len(self.bookie_ports) + 1):
            eventually(lambda: "serves" in self.log(f"bookie-{number}"), within=60, what=f"bookie {number} serves")
        return self

    def serves(self):
        for name, process in self.running.items():
            assert process.poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
        return requests.get(f"http://127.0.0.1:{self.admin_port}/admin/v2/brokers/health", timeout=2).ok

    def down(self):
        for name in list(self.running):
            self.running[name].kill()
            self.running.pop(name).wait(10)


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    try:
        yield processes.up()
    finally:
        processes.down()


def exchange(producer, consumer, numbers):
    for number in numbers:
        producer.send_async(str(number).encode(), lambda result, _: None)
    producer.flush()
    for number in numbers:
        while True:
            message = consumer.receive(timeout_millis=20_000)
            consumer.acknowledge(message)
            # After a crash of the broker what it had not noted as acknowledged comes once more.
            if int(message.data()) >= number:
                break
        assert int(message.data()) == number


def test_a_region_of_processes_survives_its_parts(processes):
    client = pulsar.Client(processes.url, operation_timeout_seconds=20, logger=quiet())
    topic = "persistent://public/default/parts"
    consumer = client.subscribe(topic, "s", initial_position=pulsar.InitialPosition.Earliest)
    producer = client.create_producer(topic, batching_enabled=False)
    exchange(producer, consumer, range(0, 200))

    for port in processes.http_ports:
        assert requests.get(f"http://127.0.0.1:{port}/heartbeat", timeout=5).ok
        assert "bookie_journal_JOURNAL_WRITE_BYTES" in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text

    # A bookie dies: the spare one takes its place. Then it is back with what it had.
    assert processes.end("bookie-2", signal.SIGKILL) == -signal.SIGKILL
    exchange(producer, consumer, range(200, 400))
    processes.start("bookie-2")
    eventually(lambda: processes.log("bookie-2").count("serves") >= 2, what="bookie 2 serves again")

    # The metadata store is away for a moment: nobody notices.
    processes.end("etcd", signal.SIGKILL)
    exchange(producer, consumer, range(400, 500))
    processes.start("etcd")
    exchange(producer, consumer, range(500, 600))

    # The broker dies; its successor waits for the end of its lease, and finds everything.
    processes.end("broker", signal.SIGKILL)
    processes.start("broker")
    eventually(processes.serves, within=60, what="the broker serves again")
    exchange(producer, consumer, range(600, 700))
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    assert [int(reader.read_next(20_000).data()) for _ in range(700)] == list(range(700))
    client.close()

    # Everything stops in good order.
    for name in ["broker", *(f"bookie-{number}" for number in range(1, 5))]:
        assert processes.end(name, signal.SIGTERM) == 0, processes.log(name)[-2000:]


def test_brokers_and_bookies_speak_tls(tmp_path):
    certs = tmp_path / "certs"
    certs.mkdir()
    for arguments in (["create-ca"], ["issue", "bookie"], ["issue", "broker"]):
        subprocess.run([BINARY, "certs", *arguments, "--dir", str(certs)], check=True, capture_output=True, timeout=60)
    (tmp_path / "bookie.conf").write_text(
        f"tlsCertificatePath={certs}/bookie.crt\ntlsKeyStore={certs}/bookie.key\ntlsTrustStore={certs}/ca.crt\n"
        "tlsClientAuthentication=true\n")
    (tmp_path / "broker.json").write_text(json.dumps({
        "bookkeeperTLSClientAuthentication": True, "bookkeeperTLSTrustCertsFilePath": f"{certs}/ca.crt",
        "bookkeeperTLSCertificateFilePath": f"{certs}/broker.crt", "bookkeeperTLSKeyFilePath": f"{certs}/broker.key"}))
    processes = Processes(tmp_path, bookies=3)
    for name, command in processes.commands.items():
        if name != "etcd":
            command += ["--config", str(tmp_path / ("broker.json" if name == "broker" else "bookie.conf"))]
    try:
        client = pulsar.Client(processes.up().url, operation_timeout_seconds=20, logger=quiet())
        topic = "persistent://public/default/encrypted"
        consumer = client.subscribe(topic, "s", initial_position=pulsar.InitialPosition.Earliest)
        exchange(client.create_producer(topic, batching_enabled=False), consumer, range(0, 100))
        client.close()

        # A read in the clear: unauthorized.
        with socket.create_connection(("127.0.0.1", processes.bookie_ports[0]), timeout=10) as plain:
            plain.sendall(bytes.fromhex("00000014020200000000000000000003ffffffffffffffff"))
            assert plain.recv(100).hex().startswith("000000180202000000000066")
    finally:
        processes.down()


def test_a_second_broker_is_refused(processes):
    second = subprocess.run(processes.broker(*free_ports(3)), capture_output=True, text=True, timeout=60)
    assert second.returncode != 0
    assert "has a broker already" in second.stderr and f"127.0.0.1:{processes.pulsar_port}" in second.stderr
    assert processes.serves()


def test_what_cannot_start_says_why(tmp_path):
    def run(*arguments):
        result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)
        assert result.returncode != 0
        return result.stderr

    data = str(tmp_path / "data")
    assert "--metadata-store-url" in run("bookie", "run", "--bookie-id", "b", "--data", data)
    assert "rocksdb" in run("bookie", "run", "--bookie-id", "b", "--data", data, "--metadata-store-url", "rocksdb:/x")
    assert "--metadata-store-url" in run("broker", "--data", data)
    port = free_ports(1)[0]
    text = run("bookie", "run", "--bookie-id", "b", "--data", data, "--metadata-store-url", f"etcd://127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in text and "cannot be used" in text
    config = tmp_path / "bookie.conf"
    config.write_text("# a comment\nmetadataServiceUri=etcd://127.0.0.1:1\nwrong=1\n")
    assert "unknown key `wrong`" in run("bookie", "run", "--config", str(config))
    config.write_text("gcWaitTime=often\n")
    assert "`often` is no value for gcWaitTime" in run("bookie", "run", "--config", str(config))
