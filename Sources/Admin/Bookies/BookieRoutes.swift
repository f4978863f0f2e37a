import Bookie
import Broker
import Foundation
import Ledgers

/// What one bookie says of itself: `/heartbeat`, `/api/v1/bookie/…`, `/api/v1/config/server_config`.
struct BookieRoutes {
  private struct State: Encodable {
    var running: Bool
    var readOnly: Bool
    var shuttingDown: Bool
    var availableForHighPriorityWrites: Bool
  }

  private struct Sanity: Encodable {
    var passed: Bool
    var readOnly: Bool
  }

  private struct ReadOnly: Codable {
    var readOnly: Bool
  }

  private struct ReadOnlyWish: Decodable {
    var readOnly: BodyFlag
  }

  var services: BookieAdminServices
  /// What stands before `/api/v1`.
  var prefix: String

  private var base: String { "\(prefix)\(BookieAdminRoutes.base)/bookie" }

  func register(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(prefix)/heartbeat") { request in
      if request.parameters["bookie"] != nil { _ = try services.bookie(request) }
      return .text("OK\n")
    }
    routes.get("\(base)/state") { request in
      let bookie = try services.anyBookie(request)
      let mode = bookie.mode
      return try .json(
        State(
          running: bookie.isRunning, readOnly: mode != .writable, shuttingDown: !bookie.isRunning,
          availableForHighPriorityWrites: mode != .noWrites))
    }
    routes.get("\(base)/is_ready") { request in
      _ = try services.bookie(request)
      return .text("")
    }
    routes.get("\(base)/sanity") { request in
      let bookie = try services.bookie(request)
      let isReadOnly = bookie.mode != .writable
      // One that takes no ordinary entries is not asked to take any.
      if !isReadOnly { try await services.operations.probe(bookie.bookieID) }
      return try .json(Sanity(passed: true, readOnly: isReadOnly))
    }
    routes.get("\(prefix)\(BookieAdminRoutes.base)/config/server_config") { request in
      // Without a name, and several bookies, what they have in common.
      let bookies = request.parameters["bookie"] == nil ? services.sources.bookies : [try services.anyBookie(request)]
      var settings = bookies.first?.settings ?? [:]
      for bookie in bookies.dropFirst() {
        let others = bookie.settings
        settings = settings.filter { others[$0.key] == $0.value }
      }
      return try .json(settings.merging(services.sources.settings) { own, _ in own })
    }
    routes.put("\(prefix)\(BookieAdminRoutes.base)/config/server_config") { _ in
      throw AdminFailure(501, "Settings are given when a bookie is started; they cannot be changed while it runs")
    }
    registerMode(&routes)
    registerStorage(&routes)
    registerContents(&routes)
  }

  private func registerMode(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(base)/state/readonly") { request in
      try .json(ReadOnly(readOnly: try services.bookie(request).mode != .writable))
    }
    routes.put("\(base)/state/readonly") { request in
      let bookie = try services.bookie(request)
      let wish = try request.json(ReadOnlyWish.self, "{\"readOnly\": true}").readOnly.isSet
      await bookie.setReadOnly(wish)
      guard wish || bookie.mode == .writable else {
        throw AdminFailure(409, "Bookie \(bookie.bookieID) stays read-only since its disks are full; make space first")
      }
      return try .json(ReadOnly(readOnly: bookie.mode != .writable))
    }
  }

  private func registerStorage(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(base)/info") { request in
      let bookie = try services.bookie(request)
      let disks = try await bookie.diskUsage()
      let journals = Set(bookie.lastLogMarks.keys)
      return try .json(BookieSpace(disks.filter { !journals.contains($0.key) }))
    }
    routes.get("\(base)/disk_usage") { request in
      let bookie = try services.bookie(request)
      return try .json(BookieDisk.all(of: bookie, try await bookie.diskUsage()))
    }
    routes.get("\(base)/last_log_mark") { request in
      try .json(try services.bookie(request).lastLogMarks.mapValues { String($0) })
    }
    routes.get("\(base)/list_disk_file") { request in
      let bookie = try services.bookie(request)
      var kinds = BookieFileKind.allCases
      if let name = request.query["file_type"] {
        guard let kind = BookieFileKind(rawValue: name) else {
          let known = BookieFileKind.allCases.map(\.rawValue).joined(separator: ", ")
          throw AdminFailure(400, "\"\(name)\" is no file_type; there are \(known)")
        }
        kinds = [kind]
      }
      var files: [String: String] = [:]
      for kind in kinds {
        let found = try await bookie.files(kind)
        files["\(kind.rawValue) files"] =
          found.sorted { $0.key < $1.key }.flatMap(\.value).joined(separator: " \t")
      }
      return try .json(files)
    }
  }

  private func registerContents(_ routes: inout RouteBuilder) {
    let services = services
    routes.get("\(base)/details") { request in
      try .json(BookieReport(try services.bookie(request)))
    }
    routes.get("\(base)/ledgers") { request in
      let bookie = try services.bookie(request)
      let after = try request.queryNumber("after").map(Int64.init) ?? -1
      let limit = try request.limit(default: 1_000, maximum: 100_000)
      let ids = bookie.ledgerIDs.filter { $0 > after }.sorted()
      let page = ids.prefix(limit).compactMap { bookie.ledger($0) }
      return try .json(
        BookieLedgerPage(
          ledgers: page.map { BookieLedgerReport($0) }, next: ids.count > limit ? ids[limit - 1] : nil,
          total: bookie.ledgerIDs.count))
    }
    routes.get("\(base)/ledger_entries") { request in
      let bookie = try services.bookie(request)
      let id = try request.ledgerID
      guard let ledger = bookie.ledger(id) else {
        throw AdminFailure(404, "Bookie \(bookie.bookieID) has no entries of ledger \(id)")
      }
      let ranges = try await bookie.entries(of: id)
      return try .json(
        BookieLedgerEntries(
          ledger: BookieLedgerReport(ledger),
          entries: ranges.map { BookieLedgerEntries.Range(first: $0.lowerBound, last: $0.upperBound) }))
    }
    routes.get("\(base)/damaged") { request in
      let bookie = try services.bookie(request)
      return try .json(bookie.damagedEntries.map { DamageReport(ledgerId: $0.ledgerID, entries: $0.entryIDs) })
    }
    routes.get("\(base)/limbo") { request in
      let bookie = try services.bookie(request)
      return try .json(
        LimboReport(inLimbo: bookie.statistics().isInLimbo, ledgers: bookie.ledgersInLimbo.sorted()))
    }
  }
}

extension AdminRequest {
  /// The ledger that the query names.
  var ledgerID: LedgerID {
    get throws {
      guard let text = query["ledger_id"], !text.isEmpty else {
        throw PolicyError(.badRequest, "The query lacks ledger_id")
      }
      guard let id = LedgerID(text), id >= 0 else {
        throw PolicyError(.badRequest, "\"\(text)\" is not the id of a ledger: a whole number from 0 on")
      }
      return id
    }
  }

  /// How many things a page may have.
  func limit(default fallback: Int, maximum: Int) throws -> Int {
    let limit = try queryNumber("limit") ?? fallback
    guard (1...maximum).contains(limit) else {
      throw PolicyError(.badRequest, "limit \(limit) is not possible: 1 to \(maximum) are")
    }
    return limit
  }
}
