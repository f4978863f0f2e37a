"""Faults across regions with real processes: everything that was acknowledged arrives everywhere, once, in order."""

import os
import random
import threading
import time

import pulsar
import pytest

from history import History
from meridian import Mesh, eventually

ROUNDS = int(os.environ.get("MERIDIAN_FAULT_ROUNDS", "10"))
SEED = int(os.environ.get("MERIDIAN_FAULT_SEED", random.SystemRandom().randrange(1 << 32)))
TOPIC = "persistent://demo/orders/faults"


class Writer(threading.Thread):
    """Publishes numbered messages in one region until it is told to stop; reconnects through every fault."""

    def __init__(self, mesh, region, name, history):
        super().__init__(daemon=True)
        self.mesh, self.region, self.producer_name, self.history = mesh, region, f"{region}-{name}", history
        self.stopping = threading.Event()
        self.problems = []

    def run(self):
        client = self.mesh.client(self.region)
        try:
            producer = None
            number = 0
            while not self.stopping.is_set():
                if producer is None:
                    try:
                        producer = client.create_producer(
                            TOPIC, producer_name=self.producer_name, send_timeout_millis=0, block_if_queue_full=True,
                            max_pending_messages=200, batching_enabled=number % 2 == 0)
                    except pulsar.PulsarException:
                        time.sleep(0.2)
                        continue
                number += 1
                self.history.send(self.producer_name, number)
                this = number

                def done(result, message_id, this=this):
                    if result == pulsar.Result.Ok:
                        self.history.acknowledge(self.producer_name, this)
                    else:
                        self.problems.append(f"{self.producer_name} {this}: {result}")

                producer.send_async(f"{self.producer_name} {number}".encode(), done, sequence_id=number)
                time.sleep(random.random() * 0.008)
            if producer is not None:
                producer.flush()
        finally:
            client.close()


def read_everything(mesh, region, expected):
    client = mesh.client(region)
    try:
        reader = client.create_reader(TOPIC, pulsar.MessageId.earliest)
        consumed = []
        while True:
            try:
                message = reader.read_next(2_000)
            except pulsar.Timeout:
                if len(consumed) >= expected:
                    return consumed
                raise AssertionError(f"region {region}: {len(consumed)} of {expected} messages, then silence\n{mesh.logs()}")
            producer, number = message.data().decode().split()
            consumed.append((producer, int(number)))
    finally:
        client.close()


def run_round(mesh, kind, generator):
    if kind == "source":
        mesh.kill("us")
    elif kind == "destination":
        mesh.kill("eu")
    elif kind == "both":
        mesh.kill("us")
        mesh.kill("eu")
    elif kind == "cut":
        mesh.wan("us", "eu", "--cut")
        time.sleep(float(os.environ.get("MERIDIAN_CUT_SECONDS", "20")))
        mesh.wan("us", "eu", "--heal")
    elif kind == "reset":
        mesh.wan("us", "eu", "--reset")
    if kind in ("source", "destination", "both"):
        time.sleep(generator.random() * 0.5)
        mesh.up()


@pytest.fixture
def fault_mesh(tmp_path):
    mesh = Mesh(tmp_path / "mesh", rtt="10ms")
    mesh.up()
    for region in mesh.names:
        # Without retention, ledgers that every cursor has passed are deleted, and there would be nothing to check.
        keep = {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}
        mesh.admin(region, "POST", "namespaces/demo/orders/retention", keep)
    yield mesh
    mesh.down()


def test_acknowledged_messages_survive_every_fault(fault_mesh):
    """`MERIDIAN_FAULT_ROUNDS`, `MERIDIAN_FAULT_SEED` and `MERIDIAN_CUT_SECONDS` make it longer or repeat it."""
    print(f"seed {SEED}")
    generator = random.Random(SEED)
    history = History()
    writers = [Writer(fault_mesh, region, i, history) for region in ("us", "eu") for i in range(2)]
    for writer in writers:
        writer.start()
    kinds = ["source", "destination", "both", "cut", "reset"]
    faults = []
    for round_ in range(ROUNDS):
        time.sleep(0.3 + generator.random())
        kind = kinds[round_ % len(kinds)]
        faults.append(kind)
        run_round(fault_mesh, kind, generator)
    time.sleep(1)
    for writer in writers:
        writer.stopping.set()
    for writer in writers:
        writer.join(90)
        assert not writer.is_alive(), f"{writer.producer_name} still waits for receipts\n{fault_mesh.logs()}"
        assert not writer.problems, writer.problems[:3]
    sent, acknowledged = history.counts()
    assert acknowledged == sent > 0

    def caught_up():
        report, _ = fault_mesh.lag()
        return all(l["isCurrent"] and l["lag"].get("behindMessages") == 0 for l in report["links"])

    eventually(caught_up, within=60, what="both links catch up")
    for region in ("us", "eu"):
        history.check(region, read_everything(fault_mesh, region, acknowledged))
    print(f"faults {faults}; {acknowledged} messages acknowledged, each once and in order in both regions")
