"""The command line against a real region: verbs and flags as pulsar-admin has them, messages in chunks, errors."""

import json
import os
import socket
import subprocess
import urllib.request

import pulsar
import pytest

from meridian import BINARY, free_ports


def run(*arguments, ok=(0,), stdin=None, **environment):
    result = subprocess.run(
        [BINARY, *arguments], capture_output=True, input=stdin, timeout=60,
        env={**os.environ, "LANG": "C.UTF-8", **environment})
    text = result.stdout.decode() + result.stderr.decode()
    assert result.returncode in ok, f"meridian {' '.join(arguments)}: {result.returncode}\n{text}"
    return result


@pytest.fixture
def admin(region):
    def call(*arguments, ok=(0,)):
        return run(*arguments, ok=ok, MERIDIAN_ADMIN_URL=region.admin_url).stdout.decode()

    return call


def backlog(admin, topic, subscription):
    return json.loads(admin("topics", "stats", topic, "--json"))["subscriptions"][subscription]["msgBacklog"]


def test_the_subscription_verbs_of_pulsar_admin(region, admin, topic):
    admin("topics", "create", topic, "-m", "team=a,tier=b")
    admin("topics", "create-subscription", topic, "-s", "billing", "--messageId", "earliest", "-p", "owner=x")
    admin("topics", "create-subscription", "--subscription", "audit", "-m", "latest", topic)
    assert admin("topics", "subscriptions", topic).split() == ["SUBSCRIPTION", "audit", "billing"]
    client = region.client()
    producer = client.create_producer(topic, batching_enabled=False)
    ids = [producer.send(f"order {n}".encode(), partition_key="k", properties={"n": str(n)}) for n in range(6)]

    peeked = json.loads(admin("topics", "peek-messages", topic, "-s", "billing", "-n", "2", "--json"))
    assert [m["payload"] for m in peeked] == ["order 0", "order 1"]
    assert peeked[1]["key"] == "k" and peeked[1]["properties"] == {"n": "1"}
    assert peeked[1]["messageId"] == f"{ids[1].ledger_id()}:{ids[1].entry_id()}"
    by_id = admin("topics", "get-message-by-id", topic, "-l", str(ids[3].ledger_id()), "-e", str(ids[3].entry_id()))
    assert "Payload: order 3" in by_id
    assert "Payload: order 5" in admin("topics", "examine-messages", topic, "-i", "latest", "-m", "1")
    assert "no message" in run(
        "topics", "get-message-by-id", topic, "--ledgerId", str(ids[0].ledger_id()), "--entryId", "9999",
        ok=(1,), MERIDIAN_ADMIN_URL=region.admin_url).stderr.decode()
    assert str(ids[5].entry_id()) in admin("topics", "last-message-id", topic)

    assert backlog(admin, topic, "billing") == 6
    admin("topics", "skip", topic, "-s", "billing", "--count", "2")
    assert backlog(admin, topic, "billing") == 4
    admin("topics", "clear-backlog", topic, "-s", "billing")
    assert backlog(admin, topic, "billing") == 0
    admin("topics", "reset-cursor", topic, "-s", "billing", "--time", "10m")
    assert backlog(admin, topic, "billing") == 6
    place = f"{ids[4].ledger_id()}:{ids[4].entry_id()}"
    admin("topics", "reset-cursor", topic, "-s", "billing", "-m", place)
    assert backlog(admin, topic, "billing") == 2
    admin("topics", "reset-cursor", topic, "-s", "billing", "-m", place, "--exclude-reset-position")
    assert backlog(admin, topic, "billing") == 1
    admin("subscriptions", "reset-cursor", topic, "-s", "billing", "--message-id", "earliest")
    admin("topics", "expire-messages", topic, "-s", "billing", "--expireTime", "1h")
    assert backlog(admin, topic, "billing") == 6
    admin("topics", "expire-messages-all-subscriptions", topic, "-t", "2d")
    admin("topics", "unsubscribe", topic, "-s", "audit", "--force")
    assert admin("subscriptions", "list", topic, "--json").split() == ["[", '"billing"', "]"]
    admin("topics", "stats", topic, "-gpb", "-sbs", "-etb", "--exclude-publishers")
    assert "cursors" in admin("topics", "stats-internal", topic, "--metadata")
    admin("topics", "terminate", topic)
    with pytest.raises(pulsar.PulsarException):
        client.create_producer(topic)
    client.close()


def test_peeking_takes_batches_apart(region, admin, topic):
    admin("topics", "create-subscription", topic, "-s", "s")
    run(
        "produce", topic, "a", "b", "c", "--batch-delay", "200ms", "--key", "k", "--service-url", region.url)
    peeked = json.loads(admin("topics", "peek-messages", topic, "-s", "s", "-n", "10", "--json"))
    assert [m["payload"] for m in peeked] == ["a", "b", "c"] and {m["key"] for m in peeked} == {"k"}
    assert admin("topics", "peek-messages", topic, "-s", "s").count("Payload") == 1


def test_the_partition_verbs_and_policies_of_pulsar_admin(admin, topic):
    admin("topics", "create-partitioned-topic", topic, "-p", "2")
    admin("topics", "create-subscription", topic, "-s", "s")
    admin("topics", "update-partitioned-topic", topic, "--partitions", "3")
    stats = json.loads(admin("topics", "partitioned-stats", topic, "--per-partition", "--json"))
    assert stats["metadata"]["partitions"] == 3 and len(stats["partitions"]) == 3
    assert "s" in admin("topics", "partitioned-stats", topic)
    admin("topics", "partitioned-stats-internal", topic)
    admin("topics", "delete-partitioned-topic", topic, "-f")
    name = topic.split("/")[-1].lower()
    namespace = f"public/{name}"
    admin("namespaces", "create", namespace)
    admin("namespaces", "set-message-ttl", namespace, "-ttl", "100m")
    assert admin("namespaces", "get-message-ttl", namespace).strip() == "6000"
    admin("namespaces", "remove-message-ttl", namespace)
    admin("namespaces", "set-retention", namespace, "--size", "-1", "--time", "3h")
    assert json.loads(admin("namespaces", "get-retention", namespace, "--json")) == {
        "retentionSizeInMB": -1, "retentionTimeInMinutes": 180}
    # Without a unit, seconds and bytes.
    admin("namespaces", "set-retention", namespace, "-s", "20971520", "-t", "120")
    assert json.loads(admin("namespaces", "get-retention", namespace, "--json")) == {
        "retentionSizeInMB": 20, "retentionTimeInMinutes": 2}
    assert "less than a minute" in run(
        "namespaces", "set-retention", namespace, "-s", "-1", "-t", "30", ok=(64,)).stderr.decode()
    cluster = json.loads(admin("clusters", "list", "--json"))[0]
    admin("namespaces", "set-allowed-clusters", namespace, "--clusters", cluster)
    assert admin("namespaces", "get-allowed-clusters", namespace).split() == ["REGION", cluster]
    admin("namespaces", "set-residency-deny", namespace, "--clusters", "mars")
    assert admin("namespaces", "get-residency-deny", namespace).split() == ["REGION", "mars"]
    admin("namespaces", "set-residency-deny", namespace, "--clusters", "")
    assert json.loads(admin("namespaces", "get-residency-deny", namespace, "--json")) == []
    admin("namespaces", "set-backlog-quota", namespace, "-l", "10M", "-lt", "-1", "-p", "producer_exception")
    assert "10485760" in admin("namespaces", "get-backlog-quotas", namespace)
    admin("namespaces", "delete", namespace)


def test_chunks_of_the_command_line_reach_the_real_client_and_back(region, topic):
    client = region.client()
    consumer = client.subscribe(topic, "python")
    large = os.urandom(12 << 20).hex().encode()[: 12 << 20]
    run(
        "produce", topic, "--file", "-", "--whole", "--chunking", "--key", "k", "--service-url", region.url,
        stdin=large)
    run(
        "produce", topic, "--file", "-", "--whole", "--chunking", "--chunk-max-message-size", "1000",
        "--compression", "zstd", "--service-url", region.url, stdin=large[:50_000])
    message = consumer.receive(30_000)
    assert message.data() == large and message.partition_key() == "k"
    consumer.acknowledge(message)
    message = consumer.receive(30_000)
    assert message.data() == large[:50_000]
    consumer.acknowledge(message)
    producer = client.create_producer(topic, batching_enabled=False, chunking_enabled=True)
    producer.send(large)
    read = run(
        "consume", topic, "--from", "earliest", "--count", "3", "--timeout", "20s", "--service-url", region.url)
    assert read.stdout.split(b"\n")[:3] == [large, large[:50_000], large]
    client.close()


def pages(command, path=()):
    """Every command below one, with its help page's text, from what the program tells shells of itself."""
    path = (*path, command["commandName"])
    yield " ".join(path), command.get("discussion", "")
    for subcommand in command.get("subcommands", []):
        if subcommand.get("shouldDisplay", True) and subcommand["commandName"] != "help":
            yield from pages(subcommand, path)


def test_every_help_page_has_an_example():
    known = dict(pages(json.loads(run("--experimental-dump-help").stdout)["command"]))
    assert len(known) > 90 and "meridian topics create-subscription" in known
    assert [path for path, text in known.items() if "meridian " not in text] == []
    assert "Example: meridian topics skip" in run("topics", "skip", "--help").stdout.decode()
    assert run("--version").stdout.decode().startswith("meridian ")


def test_the_oldest_of_a_backlog_an_index_and_expiry_by_message(region, admin, topic):
    base = f"{region.admin_url}/admin/v2/{topic.replace('://', '/')}"

    def call(method, path, body=None):
        request = urllib.request.Request(base + path, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    admin("topics", "create", topic)
    call("PUT", "/subscription/billing", "earliest")
    call("PUT", "/subscription/audit", "earliest")
    client = region.client()
    producer = client.create_producer(topic, batching_enabled=False)
    ids = [producer.send(b"x") for _ in range(5)]
    client.close()
    place = [{"ledgerId": i.ledger_id(), "entryId": i.entry_id()} for i in ids]
    call("POST", "/subscription/billing/expireMessages", place[1])
    call("POST", "/subscription/audit/expireMessages", place[1] | {"isExcluded": True})
    assert backlog(admin, topic, "billing") == 3 and backlog(admin, topic, "audit") == 4
    found = call("GET", "/getMessageIdByIndex?index=3")
    assert (found["ledgerId"], found["entryId"]) == (place[3]["ledgerId"], place[3]["entryId"])
    assert call("GET", "/stats")["oldestBacklogMessageAgeSeconds"] == -1
    stats = call("GET", "/stats?getEarliestTimeInBacklog=true")
    assert 0 <= stats["oldestBacklogMessageAgeSeconds"] < 60
    assert stats["oldestBacklogMessageSubscriptionName"] in ("audit", "billing")
    assert stats["earliestMsgPublishTimeInBacklogs"] == min(
        s["earliestMsgPublishTimeInBacklog"] for s in stats["subscriptions"].values()) > 0
    assert call("GET", "/internalStats")["compactedLedger"]["ledgerId"] == -1
    for name in ("audit", "billing"):
        call("POST", f"/subscription/{name}/skip_all")
    assert call("GET", "/stats?getEarliestTimeInBacklog=true")["oldestBacklogMessageAgeSeconds"] == -1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell):
    assert b"create-subscription" in run("--generate-completion-script", shell).stdout


TOPOLOGY = """\
regions:
  us: {{ pulsar: {0}, pulsarTls: {1}, admin: {2} }}
  eu: {{ pulsar: {3}, pulsarTls: {4}, admin: {5} }}
links:
  - {{ between: [us, eu], rtt: 1ms }}
"""


def refused(*arguments, code=None):
    """Runs a command that must fail with one clear sentence; returns it."""
    result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode != 0 if code is None else result.returncode == code
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line and not line.startswith(("Usage:", "  See"))]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_errors_are_one_clear_sentence_and_start_nothing(tmp_path):
    ports = free_ports(6)
    good = TOPOLOGY.format(*ports)
    file = tmp_path / "topology.yaml"
    data = str(tmp_path / "mesh")

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", ports[4]))
        taken.listen()
        file.write_text(good)
        assert str(ports[4]) in refused("mesh", "up", str(file), "--data", data, "--detach")
        assert not os.path.exists(data), "a refused mesh left something behind"
        assert str(ports[4]) in refused(
            "standalone", "--data", str(tmp_path / "alone"), "--pulsar-tls-port", str(ports[4]),
            "--pulsar-port", str(ports[0]), "--admin-port", str(ports[2]), "--log-level", "error")
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"something was left running on {port}"

    file.write_text(good.replace("admin:", "adminn:", 1))
    assert "adminn" in refused("mesh", "up", str(file), "--data", data, "--detach")
    file.write_text("regions: [")
    assert str(file) in refused("mesh", "up", str(file), "--data", data, "--detach")
    assert "nowhere.yaml" in refused("mesh", "up", str(tmp_path / "nowhere.yaml"), "--data", data, "--detach")
    assert data in refused("mesh", "status", "--data", data)
    assert data in refused("lag", "--data", data, code=3)
    # What cannot be judged is no warning.
    assert "from:to" in refused("lag", "--link", "us-xx", "--data", data, "--admin-url", "http://127.0.0.1:1", code=3)
    assert "--warn" in refused("lag", "--warn", "30s", "--crit", "5s", "--data", data, code=3)
    assert "--wann" in refused("lag", "--wann", "5s", code=3)
    assert "--warn" in refused("lag", "--warn", "soon", "--data", data, code=3)
    assert "--duration" in refused("perf", "produce", "public/default/t", "--duration", "0s")
    assert "--bandwidth" in refused("mesh", "wan", "us", "eu", "--bandwidth", "9000000gbit", "--data", data)
    assert "http://127.0.0.1:1" in refused("topics", "list", "public/default", "--admin-url", "http://127.0.0.1:1")
    assert "nonsense" in refused("produce", "t", "m", "--service-url", "nonsense://x")
    assert "x.jsonl" in refused("produce", "t", "--file", str(tmp_path / "x.jsonl"), "--service-url", "pulsar://127.0.0.1:1")
    config = tmp_path / "config.json"
    config.write_text('{"brokerServicePrt": 1}')
    assert "brokerServicePrt" in refused("standalone", "--config", str(config))
    config.write_text('{"brokerServicePort": "many"}')
    message = refused("standalone", "--config", str(config))
    assert "brokerServicePort" in message and "DecodingError" not in message and "typeMismatch" not in message


def test_lag_says_unknown_of_a_link_that_is_not_there_and_a_line_for_each_look(mesh):
    result = mesh.cli("lag", "--link", "us:xx", "--data", str(mesh.data), ok=(3,))
    assert "us:xx" in result.stderr and "us:eu" in result.stderr and result.stdout == ""
    result = mesh.cli("lag", "--namespace", "nobody/nothing", "--data", str(mesh.data), ok=(3,))
    assert "nobody/nothing" in result.stderr and result.stdout == ""
    watching = subprocess.Popen([BINARY, "lag", "--watch=100ms", "--json", "--data", str(mesh.data)], stdout=subprocess.PIPE)
    try:
        for _ in range(2):
            assert json.loads(watching.stdout.readline())["schemaVersion"] == 1
    finally:
        watching.terminate()
        watching.wait(15)
    assert watching.returncode in (0, 1, 2, 3)


def test_groups_of_bookies_and_more_copies_than_bookies(region, admin):
    admin("namespaces", "create", "public/grouped")
    assert admin("namespaces", "get-bookie-affinity-group", "public/grouped").strip() == "-"
    admin("namespaces", "set-bookie-affinity-group", "public/grouped", "-pg", "fast", "-sg", "others")
    shown = json.loads(admin("namespaces", "get-bookie-affinity-group", "public/grouped", "--json"))
    assert shown == {"bookkeeperAffinityGroupPrimary": "fast", "bookkeeperAffinityGroupSecondary": "others"}
    admin("namespaces", "delete-bookie-affinity-group", "public/grouped")
    assert admin("namespaces", "get-bookie-affinity-group", "public/grouped").strip() == "-"

    refused = run(
        "namespaces", "set-persistence", "public/grouped", "-e", "9", "-w", "9", "-a", "9", ok=(1,),
        MERIDIAN_ADMIN_URL=region.admin_url).stderr.decode()
    assert "needs as many bookies, and this region has 3" in refused
