import Broker
import Foundation
import Ledgers
import NIOCore

/// What is our own about ledgers: pages, entries as bytes, verification, recovery, formatting.
struct LedgerOperationRoutes {
  private struct Entry: Encodable {
    var entryId: EntryID
    /// Payload bytes of the ledger up to and including this entry.
    var cumulativeLength: Int64
    var payloadBase64: String
  }

  private struct Entries: Encodable {
    var ledgerId: LedgerID
    var entries: [Entry]
    /// Where the next page begins: pass it as `from`.
    var next: EntryID?
  }

  private struct Formatted: Encodable {
    var deletedLedgers: Int
  }

  var services: BookieAdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let base = "\(BookieAdminRoutes.base)/ledger"
    routes.get("\(base)/page") { request in
      let after = try request.queryNumber("after").map(LedgerID.init)
      let limit = try request.limit(default: 1_000, maximum: 10_000)
      return try .json(try await services.operations.list(after: after, limit: limit))
    }
    routes.get("\(base)/entries") { request in
      let id = try request.ledgerID
      let from = try request.queryNumber("from").map(EntryID.init) ?? 0
      let through = try request.queryNumber("through").map(EntryID.init) ?? EntryID.max
      let bytes = try request.queryNumber("max_bytes") ?? 1 << 20
      guard (1...32 << 20).contains(bytes) else {
        throw AdminFailure(400, "max_bytes \(bytes) is not possible: 1 to \(32 << 20) are")
      }
      let found = try await services.operations.read(id, from: from, through: through, maxBytes: bytes)
      let entries = found.map { entry in
        Entry(
          entryId: entry.entryID, cumulativeLength: entry.cumulativeLength,
          payloadBase64: Data(entry.payload.readableBytesView).base64EncodedString())
      }
      let last = found.last?.entryID ?? through
      return try .json(Entries(ledgerId: id, entries: entries, next: last < through ? last + 1 : nil))
    }
    routes.get("\(base)/verify") { request in
      let id = try request.ledgerID
      let percentage = try request.queryNumber("percentage") ?? 100
      guard (0...100).contains(percentage) else {
        throw AdminFailure(400, "percentage \(percentage) is not possible: 0 to 100 are")
      }
      let rate = try request.queryNumber("bytes_per_second") ?? 0
      guard rate >= 0 else { throw AdminFailure(400, "bytes_per_second must be 0 (no limit) or more") }
      return try .json(
        try await services.operations.verify(
          id, percentage: percentage, marks: try request.flag("mark", default: true), bytesPerSecond: rate))
    }
    routes.put("\(base)/recover") { request in
      let id = try request.ledgerID
      let operations = try services.operations
      let ledger = try await operations.show(id)
      // A closed ledger stays as it is: nothing to confirm.
      guard ledger.state == "CLOSED" || request.query["confirm"] == "\(id)" else {
        throw AdminFailure(
          400, "Ledger \(id) is \(ledger.state): whoever writes to it would be shut out; add confirm=\(id) to do it")
      }
      return try .json(try await operations.recover(id))
    }
    routes.put("\(base)/retry") { request in
      let id = try request.ledgerID
      let operations = try services.operations
      _ = try await operations.show(id)
      try await operations.retry(id)
      return .noContent
    }
    routes.put("\(base)/format") { request in
      guard let confirmation = request.query["confirm"] else {
        throw AdminFailure(
          400,
          "Every ledger of the region would be lost for good: add confirm=\"\(LedgerOperator.formatConfirmation)\" to do it"
        )
      }
      return try .json(Formatted(deletedLedgers: try await services.operations.format(confirmation: confirmation)))
    }
  }
}
