"""Certificates of a running region are replaced: new connections get the new one, those that are open go on."""

import os
import socket
import ssl
import subprocess

import pulsar

from meridian import BINARY, Region, eventually


def certs(*arguments):
    subprocess.run([BINARY, "certs", *arguments], check=True, capture_output=True)


def serial(region):
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=region.ca)
    with socket.create_connection(("127.0.0.1", region.tls_port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.getpeercert()["serialNumber"]


def test_a_replaced_certificate_serves_new_connections_and_leaves_the_old_ones(tmp_path):
    region = Region(tmp_path / "r").start()
    directory = tmp_path / "r/data/certs"
    files = {file.suffix: file for file in directory.iterdir() if file.stem != "ca"}
    assert set(files) == {".crt", ".key"}, list(directory.iterdir())
    try:
        first = serial(region)
        client = pulsar.Client(
            region.tls_url, tls_trust_certs_file_path=region.ca, tls_validate_hostname=True,
            operation_timeout_seconds=20)
        consumer = client.subscribe("t", "s")
        producer = client.create_producer("t")
        producer.send(b"before")
        connections = open_connections(region)

        # Half a replacement, a certificate without its key, must not be taken.
        certs("issue", "renewed", "--dir", str(directory))
        new = {suffix: directory / f"renewed{suffix}" for suffix in files}
        os.replace(new[".crt"], files[".crt"])
        producer.send(b"between")
        os.replace(new[".key"], files[".key"])
        second = eventually(lambda: serial(region) if serial(region) != first else None, within=30, what="the new certificate")
        assert second != first

        # What was open is the same connection still, and works.
        producer.send(b"after")
        assert [consumer.receive(10_000).data() for _ in range(3)] == [b"before", b"between", b"after"]
        assert open_connections(region) == connections
        # A client that comes now is served with the new one.
        later = pulsar.Client(
            region.tls_url, tls_trust_certs_file_path=region.ca, tls_validate_hostname=True,
            operation_timeout_seconds=20)
        later.create_producer("t").send(b"later")
        assert consumer.receive(10_000).data() == b"later"
        # Rubbish in place of the certificate is refused, and the region goes on with what it has.
        files[".crt"].write_text("no certificate")
        eventually(lambda: "certificate" in (tmp_path / "r/log").read_text().lower(), within=30, what="a word in the log")
        assert serial(region) == second
        later.close()
        client.close()
    finally:
        region.stop()


def open_connections(region):
    """This process's ends of the connections to the TLS port."""
    port = f"{region.tls_port:04X}"
    ends = set()
    for line in open("/proc/self/net/tcp").read().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if remote.split(":")[1] == port and state == "01":
            ends.add(local)
    assert ends
    return ends
