"""The real Pulsar client against one region."""

import os
import threading
import uuid

import pulsar
import pytest
from pulsar.schema import AvroSchema, Integer, JsonSchema, Record, String

from meridian import eventually


@pytest.fixture
def client(region):
    client = region.client()
    yield client
    client.close()


def receive_all(consumer, count, timeout=10_000):
    messages = []
    for _ in range(count):
        message = consumer.receive(timeout)
        consumer.acknowledge(message)
        messages.append(message)
    return messages


def assert_drained(consumer):
    with pytest.raises(pulsar.Timeout):
        consumer.receive(300)


@pytest.mark.parametrize(
    "kind", [pulsar.ConsumerType.Exclusive, pulsar.ConsumerType.Shared, pulsar.ConsumerType.Failover,
             pulsar.ConsumerType.KeyShared])
def test_every_subscription_type_delivers_all(client, topic, kind):
    consumer = client.subscribe(topic, "s", consumer_type=kind)
    producer = client.create_producer(topic)
    for i in range(100):
        producer.send(f"m{i}".encode(), partition_key=f"k{i % 7}", properties={"i": str(i)})
    messages = receive_all(consumer, 100)
    assert [m.data().decode() for m in messages] == [f"m{i}" for i in range(100)]
    assert messages[5].partition_key() == "k5"
    assert messages[5].properties() == {"i": "5"}
    assert_drained(consumer)


def test_shared_consumers_divide_the_messages(client, topic):
    consumers = [client.subscribe(topic, "s", consumer_type=pulsar.ConsumerType.Shared, receiver_queue_size=5) for _ in range(3)]
    producer = client.create_producer(topic)
    for i in range(90):
        producer.send(str(i).encode())
    seen = []
    counts = [0, 0, 0]
    for round_ in range(90):
        for index, consumer in enumerate(consumers):
            try:
                message = consumer.receive(200 if len(seen) < 90 else 1)
            except pulsar.Timeout:
                continue
            consumer.acknowledge(message)
            seen.append(int(message.data()))
            counts[index] += 1
        if len(seen) >= 90:
            break
    assert sorted(seen) == list(range(90))
    assert all(counts), counts


def test_key_shared_keeps_the_order_of_each_key(region, topic):
    client = region.client()
    seen = {}
    lock = threading.Lock()

    def listener(name):
        def listen(consumer, message):
            with lock:
                seen.setdefault(message.partition_key(), []).append((name, int(message.data())))
            consumer.acknowledge(message)
        return listen

    for i in range(3):
        client.subscribe(topic, "s", consumer_type=pulsar.ConsumerType.KeyShared, message_listener=listener(i))
    producer = client.create_producer(topic, batching_enabled=False)
    for i in range(300):
        producer.send_async(str(i).encode(), lambda *_: None, partition_key=f"key-{i % 20}")
    producer.flush()
    eventually(lambda: sum(len(v) for v in seen.values()) == 300, what="300 messages")
    for key, entries in seen.items():
        assert [n for _, n in entries] == sorted(n for _, n in entries)
        assert len({name for name, _ in entries}) == 1, f"{key} went to several consumers"
    client.close()


def test_failover_hands_over(client, topic):
    first = client.subscribe(topic, "s", consumer_type=pulsar.ConsumerType.Failover, consumer_name="a")
    second = client.subscribe(topic, "s", consumer_type=pulsar.ConsumerType.Failover, consumer_name="b")
    producer = client.create_producer(topic)
    for i in range(10):
        producer.send(str(i).encode())
    assert [int(m.data()) for m in receive_all(first, 10)] == list(range(10))
    first.close()
    for i in range(10, 20):
        producer.send(str(i).encode())
    numbers = []
    while len(numbers) < 10:
        message = second.receive(10_000)
        second.acknowledge(message)
        if int(message.data()) >= 10:
            numbers.append(int(message.data()))
    assert numbers == list(range(10, 20))


def test_a_second_exclusive_consumer_is_refused(client, topic):
    client.subscribe(topic, "s")
    with pytest.raises(pulsar.ConsumerBusy):
        client.subscribe(topic, "s")


@pytest.mark.parametrize(
    "codec", [pulsar.CompressionType.NONE, pulsar.CompressionType.LZ4, pulsar.CompressionType.ZLib,
              pulsar.CompressionType.ZSTD])
@pytest.mark.parametrize("batching", [False, True])
def test_compression_and_batching(client, topic, codec, batching):
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(
        topic, compression_type=codec, batching_enabled=batching, batching_max_publish_delay_ms=20)
    payloads = [(f"{i} ".encode() * 200) for i in range(50)]
    for payload in payloads:
        producer.send_async(payload, lambda *_: None)
    producer.flush()
    assert [m.data() for m in receive_all(consumer, 50)] == payloads
    assert_drained(consumer)


def test_partitioned_topic(region, client, topic):
    region.admin("PUT", topic.replace("://", "/") + "/partitions", 4)
    assert len(client.get_topic_partitions(topic)) == 4
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, message_routing_mode=pulsar.PartitionsRoutingMode.RoundRobinDistribution, batching_enabled=False)
    for i in range(40):
        producer.send(str(i).encode())
    messages = receive_all(consumer, 40)
    assert sorted(int(m.data()) for m in messages) == list(range(40))
    assert len({m.topic_name() for m in messages}) == 4


def test_seek_by_id_and_time(client, topic):
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    for i in range(10):
        producer.send(str(i).encode())
    messages = receive_all(consumer, 10)
    consumer.seek(messages[4].message_id())
    assert int(consumer.receive(10_000).data()) in (4, 5)
    consumer.seek(messages[0].publish_timestamp())
    assert int(consumer.receive(10_000).data()) == 0
    consumer.seek(pulsar.MessageId.earliest)
    assert int(consumer.receive(10_000).data()) == 0
    consumer.seek(pulsar.MessageId.latest)
    assert_drained(consumer)


def test_reader(client, topic):
    producer = client.create_producer(topic)
    ids = [producer.send(str(i).encode()) for i in range(10)]
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    read = []
    while reader.has_message_available():
        read.append(int(reader.read_next(10_000).data()))
    assert read == list(range(10))
    late = client.create_reader(topic, ids[6])
    assert int(late.read_next(10_000).data()) == 7
    tail = client.create_reader(topic, pulsar.MessageId.latest)
    assert not tail.has_message_available()
    producer.send(b"10")
    assert int(tail.read_next(10_000).data()) == 10


def test_reader_starts_inside_a_batch(client, topic):
    producer = client.create_producer(topic, batching_enabled=True, batching_max_publish_delay_ms=50)
    ids = []
    for i in range(10):
        producer.send_async(str(i).encode(), lambda result, message_id: ids.append(message_id))
    producer.flush()
    eventually(lambda: len(ids) == 10, what="receipts")
    reader = client.create_reader(topic, ids[3])
    assert [int(reader.read_next(10_000).data()) for _ in range(6)] == list(range(4, 10))


def test_negative_acknowledgement_redelivers(client, topic):
    consumer = client.subscribe(
        topic, "s", consumer_type=pulsar.ConsumerType.Shared, negative_ack_redelivery_delay_ms=100)
    producer = client.create_producer(topic)
    producer.send(b"again")
    message = consumer.receive(10_000)
    assert message.redelivery_count() == 0
    consumer.negative_acknowledge(message)
    message = consumer.receive(10_000)
    assert message.data() == b"again"
    assert message.redelivery_count() == 1
    consumer.acknowledge(message)


def test_unacknowledged_messages_come_back_to_the_next_consumer(region, topic):
    client = region.client()
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    for i in range(10):
        producer.send(str(i).encode())
    for i in range(4):
        consumer.acknowledge(consumer.receive(10_000))
    client.close()
    client = region.client()
    consumer = client.subscribe(topic, "s")
    assert [int(m.data()) for m in receive_all(consumer, 6)] == list(range(4, 10))
    client.close()


def test_cumulative_acknowledgement(region, topic):
    client = region.client()
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    for i in range(10):
        producer.send(str(i).encode())
    messages = [consumer.receive(10_000) for _ in range(10)]
    consumer.acknowledge_cumulative(messages[6])
    client.close()
    client = region.client()
    assert [int(m.data()) for m in receive_all(client.subscribe(topic, "s"), 3)] == [7, 8, 9]
    client.close()


def test_batch_index_acknowledgement(region, topic):
    client = region.client()
    consumer = client.subscribe(
        topic, "s", consumer_type=pulsar.ConsumerType.Shared, batch_index_ack_enabled=True)
    producer = client.create_producer(topic, batching_enabled=True, batching_max_publish_delay_ms=100)
    for i in range(10):
        producer.send_async(str(i).encode(), lambda *_: None)
    producer.flush()
    for i in range(10):
        message = consumer.receive(10_000)
        if int(message.data()) % 2 == 0:
            consumer.acknowledge(message)
    client.close()
    client = region.client()
    consumer = client.subscribe(topic, "s", consumer_type=pulsar.ConsumerType.Shared, batch_index_ack_enabled=True)
    assert sorted(int(m.data()) for m in receive_all(consumer, 5)) == [1, 3, 5, 7, 9]
    assert_drained(consumer)
    client.close()


class Order(Record):
    item = String()
    count = Integer()


class OrderWithAnotherType(Record):
    item = Integer(required=True)
    extra = String(required=True)


def test_string_schema(client, topic):
    consumer = client.subscribe(topic, "s", schema=pulsar.schema.StringSchema())
    client.create_producer(topic, schema=pulsar.schema.StringSchema()).send("hello")
    assert consumer.receive(10_000).value() == "hello"


@pytest.mark.parametrize("kind", [JsonSchema, AvroSchema])
def test_record_schemas_are_kept_and_checked(region, client, topic, kind):
    consumer = client.subscribe(topic, "s", schema=kind(Order))
    producer = client.create_producer(topic, schema=kind(Order))
    producer.send(Order(item="book", count=2))
    value = consumer.receive(10_000).value()
    assert (value.item, value.count) == ("book", 2)
    stored = region.admin("GET", "schemas/" + topic.split("://")[1] + "/schema")
    assert stored["version"] == 0
    with pytest.raises(pulsar.IncompatibleSchema):
        client.create_producer(topic, schema=kind(OrderWithAnotherType))


def test_chunked_message(client, topic):
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, batching_enabled=False, chunking_enabled=True)
    payload = os.urandom(12 * 1024 * 1024)
    producer.send(payload)
    message = consumer.receive(30_000)
    assert message.data() == payload
    consumer.acknowledge(message)


def test_tls(region, topic):
    client = pulsar.Client(region.tls_url, tls_trust_certs_file_path=region.ca, tls_validate_hostname=True)
    consumer = client.subscribe(topic, "s")
    client.create_producer(topic).send(b"secret")
    assert consumer.receive(10_000).data() == b"secret"
    client.close()


def test_tls_with_a_foreign_authority_is_refused_and_others_go_on(region, topic, tmp_path):
    import subprocess
    from meridian import BINARY

    subprocess.run([BINARY, "certs", "create-ca", "--dir", str(tmp_path)], check=True, capture_output=True)
    good = pulsar.Client(region.tls_url, tls_trust_certs_file_path=region.ca, tls_validate_hostname=True)
    producer = good.create_producer(topic)
    bad = pulsar.Client(
        region.tls_url, tls_trust_certs_file_path=str(tmp_path / "ca.crt"), operation_timeout_seconds=2)
    with pytest.raises(Exception):
        bad.create_producer(topic)
    producer.send(b"still here")
    bad.close()
    good.close()


def test_deduplication(region, client, topic):
    region.admin("PUT", "namespaces/public/dedup", {}, ok=(204, 409))
    region.admin("POST", "namespaces/public/dedup/deduplication", True)
    topic = topic.replace("public/default", "public/dedup")
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, producer_name="p", batching_enabled=False)
    for sequence in (1, 2, 2, 1, 3):
        producer.send(str(sequence).encode(), sequence_id=sequence)
    assert [int(m.data()) for m in receive_all(consumer, 3)] == [1, 2, 3]
    assert_drained(consumer)


def test_exclusive_producer(client, topic):
    client.create_producer(topic, access_mode=pulsar.ProducerAccessMode.Exclusive)
    with pytest.raises(pulsar.ProducerBusy):
        client.create_producer(topic)
    with pytest.raises(pulsar.ProducerFenced):
        client.create_producer(topic, access_mode=pulsar.ProducerAccessMode.Exclusive)


def test_unsubscribe_forgets_the_position(client, topic):
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    producer.send(b"1")
    consumer.unsubscribe()
    consumer = client.subscribe(topic, "s", initial_position=pulsar.InitialPosition.Earliest)
    producer.send(b"2")
    assert consumer.receive(10_000).data() in (b"1", b"2")


def test_non_persistent_topic(client):
    topic = f"non-persistent://public/default/{uuid.uuid4()}"
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    for i in range(10):
        producer.send(str(i).encode())
    assert [int(m.data()) for m in receive_all(consumer, 10)] == list(range(10))


def test_regex_subscription(client):
    prefix = f"persistent://public/default/pattern-{uuid.uuid4().hex}"
    producers = [client.create_producer(f"{prefix}-{i}") for i in range(3)]
    import re

    consumer = client.subscribe(re.compile(prefix + "-.*"), "s", initial_position=pulsar.InitialPosition.Earliest)
    for producer in producers:
        producer.send(b"x")
    receive_all(consumer, 3)


def test_key_value_properties_survive_restart_of_the_region(tmp_path):
    from meridian import Region

    region = Region(tmp_path / "r").start()
    try:
        client = region.client()
        consumer = client.subscribe("t", "s")
        producer = client.create_producer("t", producer_name="p")
        for i in range(100):
            producer.send(str(i).encode(), properties={"n": str(i)})
        assert int(consumer.receive(10_000).data()) == 0
        client.close()
        region.kill()
        region.start()
        client = region.client()
        consumer = client.subscribe("t", "s")
        assert [int(m.properties()["n"]) for m in receive_all(consumer, 100)] == list(range(100))
        client.close()
    finally:
        region.stop()


def test_http_service_url(region, topic):
    client = pulsar.Client(region.admin_url, operation_timeout_seconds=20)
    consumer = client.subscribe(topic, "s")
    client.create_producer(topic).send(b"over http")
    assert consumer.receive(10_000).data() == b"over http"
    client.close()
