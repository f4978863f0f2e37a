import Broker
import Ledgers

/// Auto-recovery: `/api/v1/autorecovery/…`, and bookies that leave for good.
struct AutoRecoveryRoutes {
  private struct Status: Encodable {
    var enabled: Bool
  }

  private struct Source: Decodable {
    var bookie_src: String
  }

  private struct Recovery: Decodable {
    var bookie_src: [String]
    var bookie_dest: [String]?
    var delete_cookie: BodyFlag?
  }

  private struct UnderReplicated: Encodable {
    var ledgers: [UnderReplicatedLedger]
    /// Where the next page begins: pass it as `after`.
    var next: LedgerID?
  }

  var services: BookieAdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let base = "\(BookieAdminRoutes.base)/autorecovery"
    routes.get("\(base)/status") { _ in
      try .json(Status(enabled: try await services.operations.autoRecoveryStatus().isEnabled))
    }
    routes.put("\(base)/status") { request in
      guard request.query["enabled"] != nil else {
        throw AdminFailure(400, "The query lacks enabled=true or enabled=false")
      }
      let isEnabled = try request.flag("enabled")
      try await services.operations.setAutoRecoveryEnabled(isEnabled)
      return try .json(Status(enabled: isEnabled))
    }
    routes.get("\(base)/details") { _ in try .json(try await services.operations.autoRecoveryStatus()) }
    routes.get("\(base)/who_is_auditor") { _ in
      guard let auditor = try await services.operations.autoRecoveryStatus().auditor else {
        throw AdminFailure(404, "No auditor elected")
      }
      return .text("Auditor: \(auditor)")
    }
    routes.put("\(base)/trigger_audit") { _ in
      try await services.operations.triggerAudit()
      return .text("Success send trigger audit.")
    }
    registerList(&routes, base)
    registerLeaving(&routes, base)
  }

  private func registerList(_ routes: inout RouteBuilder, _ base: String) {
    let services = services
    routes.get("\(base)/list_under_replicated_ledger") { request in
      let with = request.query["missingreplica"]
      let without = request.query["excludingmissingreplica"]
      let showsBookies = try request.flag("print_missing_replica")
      let operations = try services.operations
      var found: [UnderReplicatedLedger] = []
      var after: LedgerID?
      while true {
        let page = try await operations.underReplicated(after: after, limit: 1_000)
        found += page.filter { mark in
          let bookies = mark.bookies
          return with.map(bookies.contains) ?? true && !(without.map(bookies.contains) ?? false)
        }
        guard page.count == 1_000, let last = page.last else { break }
        after = last.ledgerID
      }
      guard !found.isEmpty else { throw AdminFailure(404, "No under replicated ledgers found") }
      guard showsBookies else { return try .json(found.map(\.ledgerID)) }
      return try .json(
        Dictionary(found.map { ("\($0.ledgerID)", $0.bookies) }, uniquingKeysWith: { first, _ in first }))
    }
    routes.get("\(base)/under_replicated") { request in
      let after = try request.queryNumber("after").map(LedgerID.init)
      let limit = try request.limit(default: 1_000, maximum: 10_000)
      let ledgers = try await services.operations.underReplicated(after: after, limit: limit)
      return try .json(UnderReplicated(ledgers: ledgers, next: ledgers.count == limit ? ledgers.last?.ledgerID : nil))
    }
  }

  private func registerLeaving(_ routes: inout RouteBuilder, _ base: String) {
    let services = services
    routes.put("\(base)/decommission") { request in
      let body = try request.json(Source.self, "{\"bookie_src\": \"bookie-1\"}")
      try await Self.requireKnown(body.bookie_src, services)
      return try .json(try await services.operations.decommission(body.bookie_src))
    }
    routes.put("\(base)/recommission") { request in
      let body = try request.json(Source.self, "{\"bookie_src\": \"bookie-1\"}")
      try await Self.requireKnown(body.bookie_src, services)
      try await services.operations.recommission(body.bookie_src)
      return .noContent
    }
    routes.put("\(base)/bookie") { request in
      let body = try request.json(Recovery.self, "{\"bookie_src\": [\"bookie-1\"], \"delete_cookie\": true}")
      guard !body.bookie_src.isEmpty else { throw AdminFailure(400, "bookie_src names no bookie") }
      guard body.bookie_dest?.isEmpty ?? true else {
        throw AdminFailure(400, "bookie_dest is not possible: the placement policy chooses where copies go")
      }
      guard body.delete_cookie?.isSet == true else {
        throw AdminFailure(400, "A bookie that was emptied loses its identity: confirm it with \"delete_cookie\": true")
      }
      for bookie in body.bookie_src { try await Self.requireKnown(bookie, services) }
      for bookie in body.bookie_src { _ = try await services.operations.decommission(bookie) }
      return .text("Success send recovery request command.")
    }
  }

  /// A name that was mistyped must not drain anything, or seem to.
  private static func requireKnown(_ bookie: String, _ services: BookieAdminServices) async throws {
    let operations = try services.operations
    if try await operations.bookies().contains(where: { $0.id == bookie }) { return }
    if try await operations.unavailableBookies().contains(bookie) { return }
    throw AdminFailure(404, "There is no bookie \(bookie)")
  }
}

extension UnderReplicatedLedger {
  /// The bookies whose copies are missing, or in doubt.
  fileprivate var bookies: [String] { Set(lostBookies + suspects.map(\.bookie)).sorted() }
}
