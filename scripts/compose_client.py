"""What scripts/test-compose.sh does with the real pulsar-client, one action each run.

  compose_client.py --url URL subscribe 0 0 REGION     subscriptions `check` and `audit` to both regions' topics
  compose_client.py --url URL produce A B REGION       messages A..<B to the topic of this region, each acknowledged
  compose_client.py --url URL consume A B REGION       subscription `check` gets exactly A..<B of the other region
  compose_client.py --url URL audit A B REGION         subscription `audit` gets exactly A..<B of the other region

--rate N publishes at most N messages a second; --half FILE makes that file when half of them are acknowledged.
"""

import argparse
import pathlib
import sys
import time

import pulsar

OTHER = {"us": "eu", "eu": "us"}
DEADLINE_SECONDS = 120


def topic(region):
    return f"persistent://demo/orders/from-{region}"


def client(url):
    quiet = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
    return pulsar.Client(url, operation_timeout_seconds=60, logger=quiet)


def subscribe(session, arguments):
    for region in OTHER:
        for name in ("check", "audit"):
            session.subscribe(topic(region), name, initial_position=pulsar.InitialPosition.Earliest).close()


def produce(session, arguments):
    producer = session.create_producer(topic(arguments.region), block_if_queue_full=True, send_timeout_millis=60000)
    failures = []
    acknowledged = 0
    half = (arguments.last - arguments.first) // 2

    def done(result, _):
        nonlocal acknowledged
        acknowledged += 1
        if acknowledged == half and arguments.half:
            pathlib.Path(arguments.half).touch()
        if result != pulsar.Result.Ok:
            failures.append(result)

    for number in range(arguments.first, arguments.last):
        producer.send_async(str(number).encode(), done, partition_key=str(number % 7))
        if number % 50 == 49:
            time.sleep(50 / arguments.rate)
    producer.flush()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while acknowledged < arguments.last - arguments.first and time.monotonic() < deadline:
        time.sleep(0.01)
    producer.close()
    if failures or acknowledged < arguments.last - arguments.first:
        raise SystemExit(
            f"{acknowledged} of {arguments.last - arguments.first} messages were answered, {len(failures)} failed: "
            f"{failures[:3]}"
        )


def consume(session, arguments, subscription):
    source = OTHER[arguments.region]
    consumer = session.subscribe(topic(source), subscription, initial_position=pulsar.InitialPosition.Earliest)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for expected in range(arguments.first, arguments.last):
        message = receive(consumer, max(1, deadline - time.monotonic()))
        if message is None:
            raise SystemExit(f"message {expected} of {source} did not arrive in {arguments.region}")
        if int(message.data()) != expected:
            raise SystemExit(f"{arguments.region} got message {message.data()} of {source} instead of {expected}")
        consumer.acknowledge(message)
    surplus = receive(consumer, 1)
    if surplus is not None:
        raise SystemExit(f"{arguments.region} got message {surplus.data()} of {source} beyond the last one")
    consumer.close()


def receive(consumer, seconds):
    try:
        return consumer.receive(timeout_millis=int(seconds * 1000))
    except pulsar.Timeout:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--half")
    parser.add_argument("action", choices=["subscribe", "produce", "consume", "audit"])
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("region", choices=sorted(OTHER))
    arguments = parser.parse_args()
    session = client(arguments.url)
    try:
        if arguments.action == "subscribe":
            subscribe(session, arguments)
        elif arguments.action == "produce":
            produce(session, arguments)
        else:
            consume(session, arguments, "audit" if arguments.action == "audit" else "check")
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
