"""What operators do with bookies and ledgers: every verb of the command line, BookKeeper's HTTP paths, the metrics."""

import base64
import json
import os
import subprocess

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from meridian import BINARY, Region, eventually

# Names that dashboards and alerts made for BookKeeper use; docs/operator.md lists them.
METRICS = """
bookie_SERVER_STATUS bookie_WRITE_BYTES bookie_READ_BYTES bookie_JOURNAL_DIRS
bookkeeper_server_ADD_ENTRY_REQUEST bookkeeper_server_ADD_ENTRY bookkeeper_server_ADD_ENTRY_REJECTED
bookkeeper_server_READ_ENTRY_REQUEST bookkeeper_server_READ_ENTRY bookkeeper_server_READ_ENTRY_SCHEDULING_DELAY
bookkeeper_server_READ_ENTRY_FENCE_REQUEST bookie_BOOKIE_ADD_ENTRY bookie_BOOKIE_READ_ENTRY
bookie_BOOKIE_RECOVERY_ADD_ENTRY bookie_BOOKIE_ADD_ENTRY_BYTES bookie_BOOKIE_READ_ENTRY_BYTES
bookie_journal_JOURNAL_ADD_ENTRY bookie_journal_JOURNAL_SYNC bookie_journal_JOURNAL_QUEUE_LATENCY
bookie_journal_JOURNAL_QUEUE_SIZE bookie_journal_JOURNAL_WRITE_BYTES
bookie_journal_JOURNAL_FORCE_WRITE_BATCH_ENTRIES bookie_journal_JOURNAL_FORCE_WRITE_BATCH_BYTES
bookie_write_cache_size bookie_write_cache_count bookie_write_cache_hits bookie_write_cache_misses
bookie_read_cache_size bookie_read_cache_hits bookie_read_cache_misses bookie_readahead_time
bookie_readahead_batch_count bookie_readahead_batch_size bookie_flush bookie_flush_entrylog
bookie_flush_locations_index bookie_flush_size bookie_throttled_write_requests bookie_rejected_write_requests
bookie_ledgers_count bookie_ACTIVE_LEDGER_TOTAL bookie_ACTIVE_ENTRY_LOG_TOTAL bookie_ACTIVE_ENTRY_LOG_SPACE_BYTES
bookie_RECLAIMED_COMPACTION_SPACE_BYTES bookie_RECLAIMED_DELETION_SPACE_BYTES bookie_MAJOR_COMPACTION_TOTAL
bookie_MINOR_COMPACTION_TOTAL bookie_DELETED_LEDGER_TOTAL bookie_RECLAIM_FAILED_TO_DELETE bookie_GC_LEDGER_RUNTIME
bookie_ledger_num_dirs bookie_ledger_writable_dirs bookie_ledger_dir_usage bookie_journal_dir_usage
bookkeeper_client_LEDGER_CREATE bookkeeper_client_LEDGER_OPEN bookkeeper_client_LEDGER_RECOVER
bookkeeper_client_LEDGER_DELETE bookkeeper_client_ADD_ENTRY bookkeeper_client_READ_ENTRY
bookkeeper_client_NUM_ENSEMBLE_CHANGE bookkeeper_client_SPECULATIVE_READ_COUNT bookkeeper_client_READ_ENTRY_DM
bookie_watcher_BOOKIE_QUARANTINE auditor_NUM_UNDER_REPLICATED_LEDGERS auditor_NUM_LEDGERS_CHECKED
auditor_NUM_BOOKIE_AUDITS_DELAYED auditor_NUM_LEDGERS_NOT_ADHERING_TO_PLACEMENT_POLICY auditor_AUDIT_BOOKIES_TIME
auditor_CHECK_ALL_LEDGERS_TIME auditor_PLACEMENT_POLICY_CHECK_TIME replication_worker_rereplicate
replication_worker_NUM_BYTES_READ replication_worker_NUM_BYTES_WRITTEN replication_worker_NUM_ENTRIES_WRITTEN
replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION
bookie_meridian_scrubs bookie_meridian_damaged_entries bookie_meridian_limbo bookie_meridian_dir_free_bytes
bookie_meridian_refused_mass_deletes bookie_meridian_compacted_bytes auditor_meridian_is_auditor
""".split()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A region whose bookies are switched, emptied and scanned: not the one that other tests share."""
    region = Region(tmp_path_factory.mktemp("operator")).start()
    yield region
    region.stop()


@pytest.fixture
def cli(own):
    def call(*arguments, code=0):
        result = subprocess.run(
            [BINARY, *arguments], capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL,
            env={**os.environ, "LANG": "C.UTF-8", "MERIDIAN_ADMIN_URL": own.admin_url})
        assert result.returncode == code, f"meridian {' '.join(arguments)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stderr if code else result.stdout

    return call


def publish(region, topic, count=20):
    client = region.client()
    producer = client.create_producer(topic, batching_enabled=False)
    for n in range(count):
        producer.send(f"order {n}".encode())
    client.close()


def ledger_of(cli, topic):
    return str(json.loads(cli("ledgers", "list", "--topic", topic, "--json"))[0]["ledgerID"])


def test_bookies_are_looked_at(own, cli, topic):
    publish(own, topic)
    for bookie in json.loads(cli("bookie", "list", "--json")):
        assert bookie["state"] == "writable" and bookie["freeDiskBytes"] > 0 and bookie["isLocal"]
    assert [line.split()[0] for line in cli("bookie", "list").splitlines()] == ["BOOKIE", "bookie-1", "bookie-2", "bookie-3"]
    assert "writable" in cli("bookie", "state") and "addedEntries" in cli("bookie", "info")
    one = json.loads(cli("bookie", "state", "--bookie", "bookie-2", "--json"))
    assert list(one) == ["bookie-2"] and one["bookie-2"]["mode"] == "writable"
    assert "bookie-9" in cli("bookie", "state", "-b", "bookie-9", code=1)
    disks = json.loads(cli("bookie", "disk", "--json"))["bookie-1"]
    assert {disk["use"] for disk in disks} == {"journal", "ledgers"}
    assert "diskUsageThreshold" in cli("bookie", "config", "-b", "bookie-1") and "LEVEL" in cli("bookie", "disk")
    ledger = ledger_of(cli, topic)
    assert ledger in cli("bookie", "ledgers").split()
    assert "-" in cli("bookie", "entries", ledger) and "no bookie here" in cli("bookie", "entries", "999999", code=1)
    assert "journal" in cli("bookie", "files") and "bookie-3: ok" in cli("bookie", "sanity")
    assert "bookie-1" in cli("bookie", "last-mark") and "no damaged entries" in cli("bookie", "damaged")
    assert "bookie-2  no" in cli("bookie", "limbo") and json.loads(cli("bookie", "limbo", "--json"))["bookie-1"]["ledgers"] == []
    assert "http://127.0.0.1:1" in cli("bookie", "state", "--admin-url", "http://127.0.0.1:1", code=1)


def test_bookies_are_told_what_to_do(own, cli, topic):
    publish(own, topic)
    assert "--bookie" in cli("bookie", "readonly", "on", code=1)
    assert cli("bookie", "readonly", "on", "--bookie", "bookie-3") == "bookie-3: read-only\n"
    assert "made read-only by an operator" in cli("bookie", "state")
    assert "read-only" in cli("bookie", "list") and "nothing was written" in cli("bookie", "sanity")
    assert cli("bookie", "readonly", "off", "--bookie", "bookie-3") == "bookie-3: writable\n"
    assert cli("bookie", "flush", "--all").count("flushed") == 3
    assert cli("bookie", "gc", "--all", "--rounds", "2").count("removed") == 6
    assert json.loads(cli("bookie", "gc", "--all", "--rounds", "2", "--json"))["bookie-2"]["refusedMassDeletes"] == 0
    assert "--confirm" in cli("bookie", "gc", "--all", "--confirm", "3", code=64)
    assert cli("bookie", "gc", "--all", "--over-replicated").count("removed") == 3
    assert "not in limbo" in cli("bookie", "leave-limbo", "-b", "bookie-1", "--confirm", "bookie-1", code=1)
    assert "begun" in cli("bookie", "compact", "minor", "-b", "bookie-1")
    assert cli("bookie", "compact", "major", "--all", "--wait").count("done") == 3
    cli("bookie", "suspend-compaction", "major", "--bookie", "bookie-2")
    eventually(lambda: "suspended: major" in cli("bookie", "state"))
    assert "resume it first" in cli("bookie", "compact", "major", "-b", "bookie-2", code=1)
    cli("bookie", "resume-compaction", "-b", "bookie-2")
    eventually(lambda: "suspended" not in cli("bookie", "state"))
    scrubbed = json.loads(cli("bookie", "scrub", "--all", "--wait", "--json"))
    assert sum(s["verifiedEntries"] for s in scrubbed.values()) > 0 and {s["damageFound"] for s in scrubbed.values()} == {0}
    assert "bookie-1  no" in cli("bookie", "scrub", "--status")


def test_ledgers_are_read_verified_closed_and_deleted(own, cli, topic, tmp_path):
    publish(own, topic)
    ledger = ledger_of(cli, topic)
    assert topic in cli("ledgers", "list") and ledger in cli("ledgers", "list", "--state", "open", "--limit", "100")
    shown = cli("ledgers", "show", ledger)
    assert "still written" in shown and "public/default" in shown and "bookie-" in shown
    # Of a ledger that is being written, what is known to be acknowledged.
    assert "order 3" in cli("ledgers", "read", ledger, "--from", "3", "--through", "3")
    refused = cli("ledgers", "recover", ledger, code=1)
    assert f"--confirm {ledger}" in refused and topic in refused and len(refused.splitlines()) == 1
    assert "nothing was done" in cli("ledgers", "recover", ledger, "--confirm", "yes", code=1)
    assert "20 entries" in cli("ledgers", "recover", ledger, "--confirm", ledger)
    assert json.loads(cli("ledgers", "show", ledger, "--json"))["lastEntry"] == 19

    assert "order 19" in cli("ledgers", "read", ledger) and "|" in cli("ledgers", "read", ledger, "--format", "hex")
    entries = [json.loads(line) for line in cli("ledgers", "read", ledger, "--json", "--through", "4").splitlines()]
    assert [e["entryId"] for e in entries] == list(range(5)) and b"order 4" in base64.b64decode(entries[4]["payloadBase64"])
    file = tmp_path / "entries"
    assert "20 entries" in cli("ledgers", "read", ledger, "--format", "raw", "--output", str(file))
    assert file.read_bytes().count(b"order ") == 20
    assert str(file) in cli("ledgers", "read", ledger, "--output", str(file), code=1)
    assert "has no entry 99" in cli("ledgers", "read", ledger, "--from", "99", code=1)

    assert "20 entries, 40 copies" in cli("ledgers", "verify", ledger)
    whole = json.loads(cli("ledgers", "verify", ledger, "--percentage", "0", "--rate", "10M", "--no-mark", "--json"))
    assert whole["entriesBelowWriteQuorum"] == 0
    assert cli("ledgers", "underreplicated") == "no ledger waits for repair\n"
    cli("ledgers", "retry", ledger)
    assert "does not exist" in cli("ledgers", "retry", "999999", code=1)
    assert f"--confirm {ledger}" in cli("ledgers", "delete", ledger, code=1)
    assert "deleted" in cli("ledgers", "delete", ledger, "--confirm", ledger)
    assert "does not exist" in cli("ledgers", "show", ledger, code=1)
    assert "bookies are running" in cli("ledgers", "format", "--confirm", "delete all ledgers", code=1)
    assert "--confirm 'delete all ledgers'" in cli("ledgers", "format", code=1)


def test_a_word_is_typed_before_a_ledger_goes(own, cli, topic):
    publish(own, topic, 1)
    ledger = ledger_of(cli, topic)

    def answer(word):
        master, terminal = os.openpty()
        process = subprocess.Popen(
            [BINARY, "ledgers", "delete", ledger, "--admin-url", own.admin_url], stdin=terminal, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        os.close(terminal)
        os.write(master, f"{word}\n".encode())
        try:
            return process.communicate(timeout=60)[0], process.returncode
        finally:
            os.close(master)

    text, code = answer("yes")
    assert code == 1 and "nothing was done" in text and topic in text and f"Type {ledger} to go on" in text
    cli("ledgers", "show", ledger)
    text, code = answer(ledger)
    assert code == 0 and "deleted" in text
    cli("ledgers", "show", ledger, code=1)


class FourBookies(Region):
    """A region with a bookie to spare."""

    def start(self):
        config = self.directory / "config.json"
        config.write_text(json.dumps({"numberOfBookies": 4}))
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [
                BINARY, "standalone", "--config", str(config), "--data", str(self.directory / "data"), "--pulsar-port",
                str(self.pulsar_port), "--pulsar-tls-port", str(self.tls_port), "--admin-port", str(self.admin_port),
                "--bind-address", "127.0.0.1", "--advertised-address", "127.0.0.1",
            ],
            stdout=log, stderr=log)
        eventually(self.is_serving, within=60, what="the region serves")
        return self


def test_a_bookie_is_emptied_while_an_operator_waits(tmp_path):
    region = FourBookies(tmp_path / "region").start()
    try:
        def run(*arguments):
            return subprocess.run(
                [BINARY, *arguments, "--admin-url", region.admin_url], capture_output=True, text=True, timeout=120)

        publish(region, "moved", 30)
        before = json.loads(run("ledgers", "list", "--json").stdout)[0]
        ledger = str(before["ledgerID"])
        leaving = before["segments"][0]["ensemble"][0]
        run("ledgers", "recover", ledger, "--confirm", ledger)
        waited = run("ledgers", "decommission", leaving, "--wait", "--confirm", leaving)
        assert waited.returncode == 0 and "stop its process" in waited.stdout, waited
        after = json.loads(run("ledgers", "show", ledger, "--json").stdout)
        assert all(leaving not in segment["ensemble"] for segment in after["segments"])
        assert run("ledgers", "verify", ledger).returncode == 0
        assert ledger not in run("ledgers", "list", "--bookie", leaving).stdout.split()
        metrics = requests.get(region.admin_url + "/metrics", timeout=10).text
        assert 'replication_worker_rereplicate_count{success="true"} 1' in metrics
    finally:
        region.stop()


def test_a_flipped_bit_is_found_by_verification(tmp_path):
    region = Region(tmp_path / "region").start()
    try:
        environment = {**os.environ, "MERIDIAN_ADMIN_URL": region.admin_url}

        def run(*arguments):
            return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=90, env=environment)

        publish(region, "damaged")
        run("autorecovery", "disable")
        ledger = str(json.loads(run("ledgers", "list", "--json").stdout)[0]["ledgerID"])
        run("ledgers", "recover", ledger, "--confirm", ledger)
        run("bookie", "flush", "--all")
        log = next((tmp_path / "region/data/bookie-1/ledgers").glob("*.log"))
        content = bytearray(log.read_bytes())
        content[content.index(b"order ")] ^= 1
        log.write_bytes(content)
        # What is in its caches hides the damage until the bookie starts again.
        region.stop()
        region.start()
        found = run("ledgers", "verify", ledger)
        assert found.returncode == 1 and "not whole; noted for auto-recovery" in found.stdout, found
        assert [line.split()[:2] for line in found.stdout.splitlines() if line.startswith("bookie-1")] == [["bookie-1", "damaged"]]
        assert ledger in run("ledgers", "underreplicated").stdout.split()
        assert run("bookie", "scrub", "-b", "bookie-1", "--wait").returncode == 1
        assert ledger in run("bookie", "damaged").stdout.split()
        run("autorecovery", "enable")
        eventually(lambda: run("ledgers", "verify", ledger).returncode == 0, within=60, what="the copy is restored")
        eventually(lambda: "no damaged" in run("bookie", "damaged").stdout, within=30)
    finally:
        region.stop()


def test_auto_recovery_is_switched_and_bookies_come_and_go(own, cli, topic):
    publish(own, topic)
    assert eventually(lambda: "standalone" in cli("autorecovery", "status"))
    cli("autorecovery", "disable")
    status = json.loads(cli("autorecovery", "status", "--json"))
    assert status["isEnabled"] is False and status["disabledSinceMs"] > 0
    assert "enable" in cli("autorecovery", "audit", code=1)
    cli("autorecovery", "enable")
    cli("autorecovery", "audit")
    eventually(lambda: json.loads(cli("autorecovery", "status", "--json")).get("lastContentCheckMs"))

    assert "there is no bookie" in cli("ledgers", "decommission", "bookie-9", code=1)
    assert "--confirm bookie-1" in cli("ledgers", "decommission", "bookie-1", code=1)
    assert "still need" in cli("ledgers", "decommission", "bookie-1", "--confirm", "bookie-1")
    assert "draining" in cli("bookie", "list") and "bookie-1" in cli("ledgers", "underreplicated")
    cli("ledgers", "recommission", "bookie-1")
    assert "draining" not in cli("bookie", "list")

    cli("ledgers", "set-rack", "bookie-1", "/zone-a/rack-1", "--group", "fast")
    assert "/zone-a/rack-1  fast" in cli("bookie", "list")
    cli("ledgers", "set-rack", "bookie-1", "--clear")
    assert "/zone-a" not in cli("bookie", "list")
    cli("ledgers", "set-rack", "bookie-1", "rack", code=1)


def test_bookkeepers_paths_answer(own):
    def get(path, status=200):
        answer = requests.get(own.admin_url + path, timeout=10)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer

    assert get("/heartbeat").text == "OK\n"
    assert "several bookies" in get("/api/v1/bookie/state", 400).json()["reason"]
    assert get("/bookies/bookie-1/api/v1/bookie/state").json() == {
        "running": True, "readOnly": False, "shuttingDown": False, "availableForHighPriorityWrites": True}
    assert get("/api/v1/bookie/list_bookies?print_hostnames=true").json() == {
        f"bookie-{n}": "127.0.0.1" for n in (1, 2, 3)}
    cluster = get("/api/v1/bookie/cluster_info").json()
    assert cluster["totalBookiesCount"] == cluster["writableBookiesCount"] == 3
    assert get("/api/v1/autorecovery/status").json() == {"enabled": True}
    assert get("/api/v1/ledger/metadata?ledger_id=999999", 404).json()["reason"] == "Ledger 999999 does not exist."


def scrape(region):
    """The type of each metric, and its samples, as a Prometheus parser reads them."""
    text = requests.get(region.admin_url + "/metrics", timeout=10).text
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a metric is there twice"
    samples = {}
    for family in families:
        for sample in family.samples:
            # The parser names counters as OpenMetrics wants them.
            name = sample.name.removesuffix("_total") if family.type == "counter" else sample.name
            samples.setdefault(name, []).append(sample)
    return {family.name: family.type for family in families}, samples


def total(samples, name, **labels):
    return sum(s.value for s in samples.get(name, []) if all(s.labels.get(k) == v for k, v in labels.items()))


def test_metrics_have_bookkeepers_names_and_move(own, cli, topic):
    publish(own, topic, 5)
    types, before = scrape(own)
    assert [name for name in METRICS if name not in types] == []
    assert types["bookkeeper_server_ADD_ENTRY"] == "summary" and types["bookie_WRITE_BYTES"] == "counter"
    quantiles = {s.labels["quantile"] for s in before["bookie_journal_JOURNAL_SYNC"]}
    assert quantiles == {"0.5", "0.75", "0.95", "0.99", "0.999", "0.9999", "1.0"}
    assert {s.labels["bookie"] for s in before["bookie_SERVER_STATUS"]} == {"bookie-1", "bookie-2", "bookie-3"}

    publish(own, topic, 50)
    cli("bookie", "flush", "--all")
    ledger = ledger_of(cli, topic)
    cli("ledgers", "read", ledger)
    cli("bookie", "readonly", "on", "-b", "bookie-2")
    _, after = scrape(own)
    cli("bookie", "readonly", "off", "-b", "bookie-2")

    def grew(name, at_least=1, **labels):
        assert total(after, name, **labels) >= total(before, name, **labels) + at_least, name

    grew("bookkeeper_server_ADD_ENTRY_count", 100, success="true")
    grew("bookkeeper_client_ADD_ENTRY_count", 50, success="true")
    grew("bookkeeper_client_READ_ENTRY_count", success="true")
    grew("bookkeeper_server_READ_ENTRY_count", success="true")
    grew("bookie_journal_JOURNAL_SYNC_count", success="true")
    grew("bookie_journal_JOURNAL_SYNC_sum", 0.001)
    grew("bookie_journal_JOURNAL_FORCE_WRITE_BATCH_ENTRIES_sum", 100)
    grew("bookie_flush_count", 3)
    grew("bookie_flush_size_sum", 100)
    for name in ("bookie_WRITE_BYTES", "bookie_journal_JOURNAL_WRITE_BYTES", "bookie_READ_BYTES"):
        grew(name)
    assert total(after, "bookie_SERVER_STATUS", bookie="bookie-2") == 0 and total(after, "bookie_SERVER_STATUS") == 2
    p99 = [s.value for s in after["bookkeeper_server_ADD_ENTRY"] if s.labels["quantile"] == "0.99"]
    assert all(0 < value < 60_000 for value in p99), p99
