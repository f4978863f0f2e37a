import Foundation
import Ledgers
import NIOPosix
import TestSupport
import Testing

@testable import Admin

@Suite("The admin API of bookies")
struct BookieRoutesTests {
  private struct Details: Decodable {
    var mode: String
    var readOnlyForced: Bool
    var ledgers: Int
  }

  private struct Space: Decodable {
    var freeSpace: Int64
    var totalSpace: Int64
  }

  @Test("One bookie answers without its name, with BookKeeper's paths and shapes")
  func oneBookie() async throws {
    try await BookieAdminFixture.run(bookies: 1) { api in
      #expect(try await api.get("/heartbeat") == "OK\n")
      #expect(try await api.get("/bookies") == #"{"bookies":["bookie-1"]}"#)
      let state = #"{"availableForHighPriorityWrites":true,"readOnly":false,"running":true,"shuttingDown":false}"#
      #expect(try await api.get("/api/v1/bookie/state") == state)
      #expect(try await api.get("/bookies/bookie-1/api/v1/bookie/state/") == state)
      #expect(try await api.call("GET", "/api/v1/bookie/is_ready") == (200, ""))
      #expect(try await api.get("/api/v1/bookie/sanity") == #"{"passed":true,"readOnly":false}"#)
      let space = try await api.client.get("/api/v1/bookie/info", as: Space.self)
      #expect(space.totalSpace > 0 && space.freeSpace <= space.totalSpace)
      #expect(try await api.get("/api/v1/bookie/disk_usage").contains(#""use":"journal""#))
      #expect(try await api.get("/api/v1/bookie/list_bookies") == #"{"bookie-1":null}"#)
      #expect(try await api.get("/api/v1/bookie/list_bookies?type=ro") == "{}")
      #expect(
        try await api.get("/api/v1/bookie/list_bookies?type=rw&print_hostnames=true") == #"{"bookie-1":"127.0.0.1"}"#)
      #expect(try await api.get("/api/v1/bookie/list_bookie_info").contains("clusterInfo"))
      #expect(try await api.get("/api/v1/bookie/cluster_info").contains(#""writableBookiesCount":1"#))
      #expect(try await api.get("/api/v1/bookie/last_log_mark").contains("/bookie-1/journal"))
      #expect(try await api.get("/api/v1/bookie/list_disk_file").contains("0000000000000001.journal"))
      #expect(try await !api.get("/api/v1/bookie/list_disk_file?file_type=index").contains(".journal"))
      let settings = try await api.client.get("/api/v1/config/server_config", as: [String: String].self)
      #expect(settings["clusterName"] == "us" && settings["diskUsageThreshold"] == "0.95")
      #expect(settings["bookieId"] == "bookie-1" && settings["gcWaitTime"] == "600000")
      #expect(try await api.get("/metrics").contains("bookie_SERVER_STATUS"))
    }
  }

  @Test("What is wrong with a request is said in one sentence")
  func refusals() async throws {
    try await BookieAdminFixture.run(bookies: 2) { api in
      func expect(
        _ status: Int, _ part: String, _ method: String, _ target: String, _ body: String? = nil,
        _ location: SourceLocation = #_sourceLocation
      ) async throws {
        let answer = try await api.call(method, target, body)
        #expect(answer.status == status, "\(answer.text)", sourceLocation: location)
        #expect(answer.text.contains(part), sourceLocation: location)
      }
      try await expect(400, "bookie-1, bookie-2", "GET", "/api/v1/bookie/state")
      try await expect(404, "bookie-9", "GET", "/bookies/bookie-9/api/v1/bookie/state")
      try await expect(404, "bookie-9", "GET", "/bookies/bookie-9/heartbeat")
      let one = "/bookies/bookie-1/api/v1/bookie"
      try await expect(400, "purple", "GET", "\(one)/list_disk_file?file_type=purple")
      try await expect(400, "neither true nor false", "PUT", "\(one)/state/readonly", #"{"readOnly":"perhaps"}"#)
      try await expect(400, "readOnly", "PUT", "\(one)/state/readonly", "{}")
      try await expect(400, "neither suspendMajor", "PUT", "\(one)/gc/suspend_compaction", "{}")
      try await expect(400, "Thresholds", "PUT", "\(one)/gc", #"{"majorCompactionThreshold":0.9}"#)
      try await expect(404, "ledger 77", "GET", "\(one)/ledger_entries?ledger_id=77")
      try await expect(400, "ledger_id", "GET", "\(one)/ledger_entries")
      try await expect(400, "limit 0", "GET", "\(one)/ledgers?limit=0")
      try await expect(400, "not a whole number", "GET", "\(one)/ledgers?after=x")
      try await expect(501, "cannot be changed", "PUT", "/api/v1/config/server_config", "{}")
      try await expect(501, "directories", "PUT", "/api/v1/bookie/expand_storage")
      try await expect(405, "GET", "DELETE", "\(one)/state")
      try await expect(400, "no type", "GET", "/api/v1/bookie/list_bookies?type=xx")
      try await expect(400, "zone-a", "PUT", "/api/v1/bookie/rack", #"{"bookie":"bookie-1","rack":"r"}"#)

      try await api.bookies[1].shutdown()
      let two = "/bookies/bookie-2/api/v1/bookie"
      try await expect(503, "bookie-2 is shut down", "GET", "\(two)/is_ready")
      try await expect(503, "bookie-2 is shut down", "PUT", "\(two)/gc")
      try await expect(503, "bookie-2 is shut down", "GET", "/bookies/bookie-2/heartbeat")
      #expect(try await api.get("\(two)/state").contains(#""running":false"#))
      #expect(try await api.get("/api/v1/bookie/cluster_info").contains(#""unavailableBookiesCount":1"#))
      #expect(try await api.get("/api/v1/bookie/list_all").contains(#""state":"unavailable""#))
    }
  }

  @Test("An operator makes a bookie read-only, and writable again")
  func readOnly() async throws {
    try await BookieAdminFixture.run(bookies: 1) { api in
      let path = "/api/v1/bookie/state/readonly"
      #expect(try await api.get(path) == #"{"readOnly":false}"#)
      #expect(try await api.call("PUT", path, #"{"readOnly":true}"#) == (200, #"{"readOnly":true}"#))
      let details = try await api.client.get("/api/v1/bookie/details", as: Details.self)
      #expect(details.mode == "read-only" && details.readOnlyForced)
      #expect(try await api.get("/api/v1/bookie/list_bookies?type=ro") == #"{"bookie-1":null}"#)
      #expect(try await api.get("/api/v1/bookie/sanity") == #"{"passed":true,"readOnly":true}"#)
      #expect(try await api.call("PUT", path, #"{"readOnly":"false"}"#) == (200, #"{"readOnly":false}"#))
      #expect(try await api.get("/api/v1/bookie/sanity") == #"{"passed":true,"readOnly":false}"#)
    }
  }

  @Test("What the client of ledgers did is in the metrics, a bookie that was replaced too")
  func clientMetrics() async throws {
    try await BookieAdminFixture.run(bookies: 2) { api in
      let loop = MultiThreadedEventLoopGroup.singleton.next()
      let options = LedgerOptions(ensembleSize: 1, writeQuorumSize: 1, ackQuorumSize: 1)
      let ledger = try await api.ledgers.createLedger(options, on: loop)
      try await BookieAdminFixture.append("a", to: ledger)
      let name = try #require(try await api.ledgers.ledgerMetadata(ledger.id).segments.first?.ensemble.first)
      try await api.bookies.first { $0.bookieID == name }?.shutdown()
      try await BookieAdminFixture.append("b", to: ledger)
      await #expect(throws: LedgerError.self) { try await api.ledgers.openLedger(ledger.id + 100, on: loop) }
      try await api.ledgers.deleteLedger(ledger.id)
      let metrics = try await api.get("/metrics").split(separator: "\n").map(String.init)
      #expect(metrics.contains("bookkeeper_client_NUM_ENSEMBLE_CHANGE 1"))
      #expect(metrics.contains(#"bookkeeper_client_ADD_ENTRY_count{success="true"} 2"#))
      #expect(metrics.contains(#"bookkeeper_client_LEDGER_OPEN_count{success="false"} 1"#))
      #expect(metrics.contains(#"bookkeeper_client_LEDGER_DELETE_count{success="true"} 1"#))
      #expect(!metrics.contains { $0.hasPrefix("bookie_SERVER_STATUS{bookie=\"\(name)\"") }, "it is shut down")
    }
  }

  @Test("Garbage, compaction, flush and verification on demand")
  func maintenance() async throws {
    try await BookieAdminFixture.run(bookies: 1) { api in
      let ids = [try await api.ledger(["a", "b", "c"]), try await api.ledger(["d"])]
      #expect(
        try await api.get("/api/v1/bookie/ledgers?limit=1").hasPrefix(
          #"{"ledgers":[{"fenced":false,"inLimbo":false,"lastEntry":2,"ledgerId":\#(ids[0])}],"next":\#(ids[0])"#))
      #expect(
        try await api.get("/api/v1/bookie/ledger_entries?ledger_id=\(ids[0])").hasPrefix(
          #"{"entries":[{"first":0,"last":2}]"#))
      let marks = try await api.client.get("/api/v1/bookie/last_log_mark", as: [String: String].self)
      let flushed = try await api.call("PUT", "/api/v1/bookie/flush")
      #expect(flushed.status == 200 && (Int(marks.values.first ?? "") ?? 0) < 4)
      #expect(try JSONDecoder().decode([String: String].self, from: Data(flushed.text.utf8)) != marks)

      try await api.ledgers.deleteLedger(ids[0])
      let collect = "/api/v1/bookie/gc?wait=true"
      let body = #"{"forceMajor":false,"forceMinor":"false"}"#
      // A ledger must be missing twice.
      func collected(_ count: Int) -> String {
        #"{"refusedLedgers":0,"refusedMassDeletes":0,"removedLedgers":\#(count)}"#
      }
      #expect(try await api.call("PUT", collect, body) == (200, collected(0)))
      #expect(try await api.call("PUT", collect + "&over_replicated=true", body) == (200, collected(0)))
      #expect(try await api.call("PUT", collect + "&over_replicated=true&confirm=1", body) == (200, collected(0)))
      #expect(try await api.call("PUT", collect + "&confirm=1", body) == (200, collected(1)))
      #expect(try await api.client.get("/api/v1/bookie/details", as: Details.self).ledgers == 1)

      #expect(try await api.call("PUT", "/api/v1/bookie/gc", #"{"forceMinor":true}"#).text.contains("Triggered GC"))
      await eventually {
        let details = try await api.get("/api/v1/bookie/gc_details")
        let forced = try await api.get("/api/v1/bookie/gc")
        return details.contains(#""forceCompacting":false"#) && details.contains(#""minorCompactionCounter":1"#)
          && forced == #"{"is_in_force_gc":"false"}"#
      }
      let suspend = "/api/v1/bookie/gc/suspend_compaction"
      #expect(try await api.call("PUT", suspend, #"{"suspendMajor":"true"}"#).status == 200)
      await eventually {
        try await api.get(suspend) == #"{"isMajorGcSuspended":"true","isMinorGcSuspended":"false"}"#
      }
      #expect(try await api.call("PUT", "/api/v1/bookie/gc", #"{"forceMajor":true}"#).status == 409)
      #expect(
        try await api.call("PUT", "/api/v1/bookie/gc/resume_compaction", #"{"resumeMajor":true}"#).status == 200)
      await eventually { try await api.get(suspend).contains(#""isMajorGcSuspended":"false""#) }

      #expect(try await api.call("PUT", "/api/v1/bookie/scrub").status == 200)
      await eventually {
        let text = try await api.get("/api/v1/bookie/scrub")
        return text.contains(#""completed":1"#) && text.contains(#""running":false"#)
          && text.contains(#""verifiedEntries":1"#)
      }
      #expect(try await api.get("/api/v1/bookie/damaged") == "[]")
      #expect(try await api.get("/api/v1/bookie/limbo") == #"{"inLimbo":false,"ledgers":[]}"#)
      #expect(try await api.call("PUT", "/api/v1/bookie/leave_limbo?confirm=bookie-1").status == 409)
    }
  }
}
