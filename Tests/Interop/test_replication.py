"""Two regions that replicate a namespace, seen through the real Pulsar client."""

import json
import os
import signal
import subprocess
import time

import pulsar
import pytest
import requests

from history import History
from meridian import BINARY, Mesh, eventually, free_ports


def consume(client, topic, count, timeout=20_000):
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    messages = [reader.read_next(timeout) for _ in range(count)]
    with pytest.raises(pulsar.Timeout):
        reader.read_next(500)
    reader.close()
    return messages


def test_produce_here_consume_there(mesh, orders):
    us, eu = mesh.client("us"), mesh.client("eu")
    consumer = eu.subscribe(orders, "s", initial_position=pulsar.InitialPosition.Earliest)
    producer = us.create_producer(orders)
    for i in range(100):
        producer.send(str(i).encode(), partition_key=f"k{i}", properties={"i": str(i)}, event_timestamp=1000 + i)
    for i in range(100):
        message = consumer.receive(20_000)
        assert message.data() == str(i).encode()
        assert message.partition_key() == f"k{i}"
        assert message.properties() == {"i": str(i)}
        assert message.event_timestamp() == 1000 + i
        consumer.acknowledge(message)
    us.close()
    eu.close()


def test_both_ways_at_once_without_echo(mesh, orders):
    clients = {name: mesh.client(name) for name in ("us", "eu")}
    producers = {name: client.create_producer(orders, producer_name=name) for name, client in clients.items()}
    for i in range(500):
        for name, producer in producers.items():
            producer.send_async(f"{name} {i}".encode(), lambda *_: None)
    for producer in producers.values():
        producer.flush()
    for name, client in clients.items():
        texts = [m.data().decode() for m in consume(client, orders, 1000)]
        for origin in ("us", "eu"):
            assert [t for t in texts if t.startswith(origin)] == [f"{origin} {i}" for i in range(500)]
    for client in clients.values():
        client.close()


def test_selective_replication(mesh, orders):
    us, eu = mesh.client("us"), mesh.client("eu")
    producer = us.create_producer(orders, batching_enabled=False)
    producer.send(b"stays", disable_replication=True)
    producer.send(b"goes", replication_clusters=["eu"])
    producer.send(b"elsewhere", replication_clusters=["ap"])
    producer.send(b"last")
    assert [m.data() for m in consume(eu, orders, 2)] == [b"goes", b"last"]
    assert len(consume(us, orders, 4)) == 4
    us.close()
    eu.close()


@pytest.mark.parametrize("codec", [pulsar.CompressionType.LZ4, pulsar.CompressionType.ZSTD, pulsar.CompressionType.ZLib])
def test_compressed_batches_cross(mesh, orders, codec):
    us, eu = mesh.client("us"), mesh.client("eu")
    producer = us.create_producer(
        orders, compression_type=codec, batching_enabled=True, batching_max_publish_delay_ms=20)
    for i in range(200):
        producer.send_async((f"{i} " * 50).encode(), lambda *_: None)
    producer.flush()
    assert [m.data() for m in consume(eu, orders, 200)] == [(f"{i} " * 50).encode() for i in range(200)]
    us.close()
    eu.close()


def test_partitioned_topic_crosses(mesh, orders):
    for name in ("us", "eu"):
        mesh.admin(name, "PUT", orders.replace("://", "/") + "/partitions", 3, ok=(204, 409))
    us, eu = mesh.client("us"), mesh.client("eu")
    consumer = eu.subscribe(orders, "s", initial_position=pulsar.InitialPosition.Earliest)
    producer = us.create_producer(
        orders, message_routing_mode=pulsar.PartitionsRoutingMode.RoundRobinDistribution, batching_enabled=False)
    for i in range(30):
        producer.send(str(i).encode())
    seen = []
    for _ in range(30):
        message = consumer.receive(20_000)
        consumer.acknowledge(message)
        seen.append(int(message.data()))
    assert sorted(seen) == list(range(30))
    us.close()
    eu.close()


def test_schemas_cross(mesh, orders):
    from pulsar.schema import AvroSchema, Integer, Record, String

    class Order(Record):
        item = String()
        count = Integer()

    us, eu = mesh.client("us"), mesh.client("eu")
    us.create_producer(orders, schema=AvroSchema(Order)).send(Order(item="book", count=1))
    consumer = eu.subscribe(
        orders, "s", schema=AvroSchema(Order), initial_position=pulsar.InitialPosition.Earliest)
    value = consumer.receive(20_000).value()
    assert (value.item, value.count) == ("book", 1)
    us.close()
    eu.close()


def test_chunked_message_crosses(mesh, orders):
    us, eu = mesh.client("us"), mesh.client("eu")
    payload = os.urandom(11 * 1024 * 1024)
    consumer = eu.subscribe(orders, "s", initial_position=pulsar.InitialPosition.Earliest)
    us.create_producer(orders, batching_enabled=False, chunking_enabled=True).send(payload)
    assert consumer.receive(30_000).data() == payload
    us.close()
    eu.close()


def test_stats_show_the_replicator(mesh, orders):
    us = mesh.client("us")
    us.create_producer(orders).send(b"x")
    path = orders.replace("://", "/") + "/stats"
    stats = eventually(
        lambda: (s := mesh.admin("us", "GET", path))["replication"]["eu"]["replicationBacklog"] == 0 and s,
        what="an empty replication backlog")
    assert stats["replication"]["eu"]["connected"] is True
    assert "pulsar_replication_backlog" in requests.get(mesh.admin_url("us") + "/metrics", timeout=5).text
    us.close()


def test_lag_of_a_healthy_mesh(mesh, orders):
    us = mesh.client("us")
    us.create_producer(orders).send(b"x")

    def healthy():
        report, code = mesh.lag()
        assert code == 0, report
        assert report["schemaVersion"] == 1
        assert {(l["from"], l["lag"]["to"]) for l in report["links"]} == {("us", "eu"), ("eu", "us")}
        return all(l["lag"]["behindSeconds"] == 0 and l["lag"]["connected"] for l in report["links"])

    eventually(healthy, what="no lag")
    text = mesh.cli("lag", "--data", str(mesh.data)).stdout
    assert "FROM us" in text and "us→eu" in text
    # What cannot be carried out is UNKNOWN to a check, never WARN.
    assert mesh.cli("lag", "--data", str(mesh.data), "--link", "us:mars", ok=(3,)).stderr.startswith("Error: ")
    us.close()


def test_status_and_second_up(mesh):
    before = mesh.status()
    assert [(r["name"], r["state"]) for r in before["regions"]] == [("us", "serving"), ("eu", "serving")]
    mesh.up()
    assert [r["pid"] for r in mesh.status()["regions"]] == [r["pid"] for r in before["regions"]]


def test_up_refuses_what_it_cannot_do(tmp_path):
    taken = free_ports(6)
    import socket

    holder = socket.socket()
    holder.bind(("127.0.0.1", taken[0]))
    holder.listen()
    cases = {
        "missing.yaml": (None, "cannot read the topology file"),
        "unknown.yaml": ("regions:\n  us: { pulsr: 1 }\n", "unknown key `pulsr`"),
        "taken.yaml": (
            f"regions:\n  us: {{ pulsar: {taken[0]}, pulsarTls: {taken[1]}, admin: {taken[2]} }}\n"
            f"  eu: {{ pulsar: {taken[3]}, pulsarTls: {taken[4]}, admin: {taken[5]} }}\n", f"port {taken[0]} is in use"),
    }
    for name, (text, sentence) in cases.items():
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        data = tmp_path / ("data-" + name)
        result = subprocess.run(
            [BINARY, "mesh", "up", str(path), "--data", str(data), "--detach"], capture_output=True, text=True, timeout=60)
        assert result.returncode != 0
        assert sentence in result.stderr, result.stderr
        status = subprocess.run(
            [BINARY, "mesh", "status", "--data", str(data)], capture_output=True, text=True, timeout=60)
        assert status.returncode != 0, "something was left running"
    holder.close()


def test_lag_grows_with_the_clock_while_the_link_is_cut(tmp_path):
    mesh = Mesh(tmp_path / "cut").up()
    try:
        us, eu = mesh.client("us"), mesh.client("eu")
        producer = us.create_producer("persistent://demo/orders/cut")
        producer.send(b"before")
        assert len(consume(eu, "persistent://demo/orders/cut", 1)) == 1
        mesh.wan("us", "eu", "--cut")
        producer.send(b"during")
        sent = time.time()

        def behind():
            report, _ = mesh.lag("--link", "us:eu")
            return report["links"][0]["lag"]["behindSeconds"] or 0

        eventually(lambda: behind() > 0.5, what="a lag that is not zero")
        for _ in range(5):
            lower = time.time() - sent
            shown = behind()
            assert shown >= lower - 0.2, "the lag shown is less than the truth"
            assert shown <= time.time() - sent + 1
            time.sleep(1)
        eventually(
            lambda: mesh.lag("--link", "us:eu")[0]["links"][0]["lag"]["state"] == "down", within=30,
            what="the link is shown as down")
        mesh.wan("us", "eu", "--heal")
        assert [m.data() for m in consume(eu, "persistent://demo/orders/cut", 2)] == [b"before", b"during"]
        eventually(lambda: behind() == 0, what="the lag is gone")
        us.close()
        eu.close()
    finally:
        mesh.down()


def test_a_silent_region_is_unknown_not_zero(tmp_path):
    mesh = Mesh(tmp_path / "silent").up()
    try:
        eventually(lambda: mesh.lag()[1] == 0, what="a healthy mesh")
        pid = mesh.pid("eu")
        os.kill(pid, signal.SIGSTOP)
        try:
            report, code = mesh.lag()
            eu = next(r for r in report["regions"] if r["name"] == "eu")
            assert not eu["answered"] and eu["ageSeconds"] > 0
            assert code in (2, 3)
            assert all(not l["isCurrent"] for l in report["links"] if l["from"] == "eu")
            regions = mesh.status()["regions"]
            assert [r["state"] for r in regions if r["name"] == "eu"] == ["silent"]
        finally:
            os.kill(pid, signal.SIGCONT)
    finally:
        mesh.down()
