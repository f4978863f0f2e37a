import Foundation
import Ledgers
import TestSupport
import Testing

@testable import Admin

@Suite("The admin API of ledgers and auto-recovery")
struct LedgerRoutesTests {
  private struct Page: Decodable {
    var ledgers: [LedgerSummary]
    var next: LedgerID?
  }

  private struct Entries: Decodable {
    struct Entry: Decodable {
      var entryId: EntryID
      var cumulativeLength: Int64
      var payloadBase64: String
    }
    var entries: [Entry]
    var next: EntryID?
  }

  @Test("Ledgers are listed, shown, read, verified, recovered and deleted")
  func ledgers() async throws {
    try await BookieAdminFixture.run(bookies: 2) { api in
      var ids: [LedgerID] = []
      for number in 0..<3 { ids.append(try await api.ledger(["e\(number)"])) }
      let open = try await api.ledger((0..<20).map { "entry \($0)" }, copies: 2, closes: false)
      let base = "/api/v1/ledger"
      let all = try await api.client.get("\(base)/list", as: [String: String?].self)
      #expect(all == Dictionary(uniqueKeysWithValues: (ids + [open]).map { ("\($0)", nil) }))
      let shown = try await api.client.get(
        "\(base)/list", query: ["print_metadata": "true", "page": "1"], as: [String: LedgerSummary].self)
      #expect(shown["\(open)"]?.state == "OPEN" && shown.count == 4)
      #expect(try await api.get("\(base)/list?page=2") == "{}")
      let page = try await api.client.get("\(base)/page", query: ["limit": "3"], as: Page.self)
      #expect(page.ledgers.count == 3 && page.next == page.ledgers.last?.ledgerID)
      let metadata = try await api.client.get(
        "\(base)/metadata", query: ["ledger_id": "\(ids[0])"], as: [String: LedgerSummary].self)
      #expect(metadata["\(ids[0])"]?.lastEntry == 0)

      let read = try await api.client.get(
        "\(base)/read", query: ["ledger_id": "\(open)", "start_entry_id": "3", "end_entry_id": "4"],
        as: [String: String].self)
      #expect(read == ["3": "entry 3", "4": "entry 4"])
      #expect(
        try await api.client.get(
          "\(base)/read", query: ["ledger_id": "\(open)", "page": "1"], as: [String: String].self
        )
        .count >= 19)
      #expect(try await api.get("\(base)/read?ledger_id=\(ids[0])") == #"{"0":"e0"}"#)
      let entries = try await api.client.get(
        "\(base)/entries", query: ["ledger_id": "\(ids[1])"], as: Entries.self)
      #expect(entries.entries.map(\.payloadBase64) == [Data("e1".utf8).base64EncodedString()])

      // A ledger that is written to is not taken from its writer by accident.
      let recover = "\(base)/recover?ledger_id=\(open)"
      let refused = try await api.call("PUT", recover)
      #expect(refused.status == 400 && refused.text.contains("confirm=\(open)"))
      #expect(try await api.get("\(base)/metadata?ledger_id=\(open)").contains("OPEN"))
      #expect(try await api.call("PUT", "\(recover)&confirm=\(open)").text.contains("CLOSED"))
      #expect(try await api.call("PUT", recover).status == 200)
      let found = try await api.client.get(
        "\(base)/verify", query: ["ledger_id": "\(open)"], as: LedgerVerification.self)
      #expect(found.isHealthy && found.copiesChecked == 40 && found.entriesChecked == 20)

      let delete = "\(base)/delete?ledger_id=\(ids[0])"
      #expect(try await api.call("DELETE", delete).status == 400)
      #expect(try await api.call("DELETE", "\(delete)&confirm=\(ids[1])").status == 400)
      #expect(try await api.call("DELETE", "\(delete)&confirm=\(ids[0])") == (200, #"{"deleted":\#(ids[0])}"#))
      #expect(try await api.call("DELETE", "\(delete)&confirm=\(ids[0])").status == 404)
    }
  }

  @Test("Ledgers and entries that are not there, or not possible")
  func refusals() async throws {
    try await BookieAdminFixture.run(bookies: 1) { api in
      let id = try await api.ledger(["x"])
      for path in ["metadata", "read", "entries", "verify"] {
        let target = "/api/v1/ledger/\(path)"
        #expect(try await api.call("GET", target).status == 400)
        #expect(try await api.call("GET", "\(target)?ledger_id=x").status == 400)
        #expect(try await api.call("GET", "\(target)?ledger_id=-1").status == 400)
        #expect(try await api.call("GET", "\(target)?ledger_id=99999999999999999999").status == 400)
        let absent = try await api.call("GET", "\(target)?ledger_id=123456")
        #expect(absent.status == 404 && absent.text == "Ledger 123456 does not exist.")
      }
      let base = "/api/v1/ledger"
      #expect(try await api.call("GET", "\(base)/entries?ledger_id=\(id)&from=5").status == 404)
      #expect(try await api.call("GET", "\(base)/entries?ledger_id=\(id)&from=-5").status == 400)
      #expect(try await api.call("GET", "\(base)/entries?ledger_id=\(id)&max_bytes=0").status == 400)
      #expect(try await api.call("GET", "\(base)/read?ledger_id=\(id)&start_entry_id=5").status == 404)
      #expect(try await api.call("GET", "\(base)/read?ledger_id=\(id)&start_entry_id=5&end_entry_id=2").status == 400)
      #expect(try await api.call("GET", "\(base)/read?ledger_id=\(id)&page=0").status == 400)
      #expect(try await api.call("GET", "\(base)/read?ledger_id=\(id)&page=9223372036854775807").status == 400)
      #expect(try await api.call("GET", "\(base)/verify?ledger_id=\(id)&percentage=101").status == 400)
      #expect(try await api.call("PUT", "\(base)/recover?ledger_id=123456").status == 404)
      #expect(try await api.call("PUT", "\(base)/retry?ledger_id=123456").status == 404)
      #expect(try await api.call("PUT", "\(base)/format").status == 400)
      #expect(try await api.call("PUT", "\(base)/format?confirm=yes").status == 400)
      let running = try await api.call("PUT", "\(base)/format?confirm=\(LedgerOperator.formatConfirmation)")
      #expect(running.status == 400 && running.text.contains("bookie-1"))
      #expect(try await api.get("\(base)/list") == #"{"\#(id)":null}"#)
    }
  }

  @Test("Auto-recovery is switched, asked and told, and bookies leave and come back")
  func autoRecovery() async throws {
    try await BookieAdminFixture.run(bookies: 2) { api in
      let base = "/api/v1/autorecovery"
      let id = try await api.ledger(["x"], copies: 2)
      #expect(try await api.get("\(base)/status") == #"{"enabled":true}"#)
      #expect(try await api.call("PUT", "\(base)/status").status == 400)
      #expect(try await api.call("PUT", "\(base)/status?enabled=false") == (200, #"{"enabled":false}"#))
      #expect(try await api.get("\(base)/status") == #"{"enabled":false}"#)
      #expect(try await api.get("/api/v1/bookie/cluster_info").contains(#""ledgerReplicationEnabled":false"#))
      #expect(try await api.call("GET", "\(base)/who_is_auditor") == (404, "No auditor elected"))
      #expect(try await api.call("PUT", "\(base)/trigger_audit").text == "Success send trigger audit.")
      let list = "\(base)/list_under_replicated_ledger"
      #expect(try await api.call("GET", list) == (404, "No under replicated ledgers found"))
      #expect(try await api.call("PUT", "\(base)/decommission").status == 400)
      #expect(try await api.call("PUT", "\(base)/decommission", #"{"bookie_src":"bookie-9"}"#).status == 404)
      let draining = try await api.call("PUT", "\(base)/decommission", #"{"bookie_src":"bookie-2"}"#)
      #expect(
        draining == (200, #"{"bookie":"bookie-2","isDone":false,"isRegistered":true,"remainingLedgers":1}"#))
      #expect(try await api.get(list) == "[\(id)]")
      #expect(try await api.get("\(list)?print_missing_replica=true") == #"{"\#(id)":["bookie-2"]}"#)
      #expect(try await api.get("\(list)?missingreplica=bookie-2") == "[\(id)]")
      #expect(try await api.call("GET", "\(list)?excludingmissingreplica=bookie-2").status == 404)
      #expect(try await api.get("\(base)/under_replicated").contains(#""lostBookies":["bookie-2"]"#))
      #expect(try await api.get("/api/v1/bookie/cluster_info").contains(#""clusterUnderReplicated":true"#))
      #expect(try await api.get("/api/v1/bookie/list_all").contains(#""state":"draining""#))
      #expect(try await api.call("PUT", "\(base)/recommission", #"{"bookie_src":"bookie-2"}"#).status == 204)
      #expect(try await !api.get("/api/v1/bookie/list_all").contains("draining"))
      #expect(try await api.call("PUT", "/api/v1/ledger/retry?ledger_id=\(id)").status == 204)

      let recovery = "\(base)/bookie"
      #expect(try await api.call("PUT", recovery, #"{"bookie_src":[]}"#).status == 400)
      #expect(try await api.call("PUT", recovery, #"{"bookie_src":["bookie-2"]}"#).text.contains("delete_cookie"))
      let target = #"{"bookie_src":["bookie-2"],"bookie_dest":["bookie-1"],"delete_cookie":true}"#
      #expect(try await api.call("PUT", recovery, target).status == 400)

      let rack = #"{"bookie":"bookie-1","rack":"/zone-a/rack-3","group":"gold"}"#
      #expect(try await api.call("PUT", "/api/v1/bookie/rack", rack).status == 204)
      let listed = try await api.get("/api/v1/bookie/list_all")
      #expect(listed.contains(#""rack":"/zone-a/rack-3""#) && listed.contains(#""group":"gold""#))
    }
  }

  @Test("A region without running bookies can be formatted")
  func format() async throws {
    try await BookieAdminFixture.run(bookies: 1) { api in
      _ = try await api.ledger(["x"])
      try await api.bookies[0].shutdown()
      let target = "/api/v1/ledger/format?confirm=\(LedgerOperator.formatConfirmation)"
      #expect(try await api.call("PUT", target) == (200, #"{"deletedLedgers":1}"#))
      #expect(try await api.get("/api/v1/ledger/list") == "{}")
      #expect(try await api.get("/bookies") == #"{"bookies":["bookie-1"]}"#)
    }
  }
}
