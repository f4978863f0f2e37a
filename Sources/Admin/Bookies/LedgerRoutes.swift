import Broker
import Foundation
import Ledgers
import NIOCore

/// Ledgers as BookKeeper shows them: `/api/v1/ledger/{delete,list,metadata,read}`.
struct LedgerRoutes {
  /// Ledgers on a page of `list`, as in BookKeeper.
  private static let ledgersOnPage = 100
  /// Entries on a page of `read`, as in BookKeeper.
  private static let entriesOnPage: Int64 = 1_000
  /// Payload bytes of one answer of `read`; beyond them it is refused rather than cut.
  private static let maximumAnswer = 64 << 20

  private struct Deleted: Encodable {
    var deleted: LedgerID
  }

  var services: BookieAdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let base = "\(BookieAdminRoutes.base)/ledger"
    routes.delete("\(base)/delete") { request in
      let id = try request.ledgerID
      let operations = try services.operations
      _ = try await operations.show(id)
      guard let confirmation = request.query["confirm"] else {
        throw AdminFailure(400, "What is in ledger \(id) would be lost for good: add confirm=\(id) to do it")
      }
      try await operations.delete(id, confirmation: confirmation)
      return try .json(Deleted(deleted: id))
    }
    routes.get("\(base)/metadata") { request in
      let id = try request.ledgerID
      return try .json(["\(id)": try await services.operations.show(id)])
    }
    routes.get("\(base)/list") { request in
      let showsMetadata = try request.flag("print_metadata")
      let page = try request.page
      let operations = try services.operations
      var answer: [String: LedgerSummary?] = [:]
      var seen = 0
      var after: LedgerID?
      repeat {
        let found = try await operations.list(after: after, limit: 1_000)
        for ledger in found.ledgers {
          seen += 1
          if let page, (seen - 1) / Self.ledgersOnPage + 1 != page { continue }
          answer.updateValue(showsMetadata ? ledger : nil, forKey: "\(ledger.ledgerID)")
        }
        after = found.next
      } while after != nil
        && page.map({ seen < $0.multipliedReportingOverflow(by: Self.ledgersOnPage).partialValue })
          ?? true
      return try .json(answer)
    }
    routes.get("\(base)/read") { request in
      let id = try request.ledgerID
      var first = try request.queryNumber("start_entry_id").map(EntryID.init) ?? 0
      var last = try request.queryNumber("end_entry_id").map(EntryID.init) ?? -1
      if let page = try request.page {
        let start = EntryID(page - 1).multipliedReportingOverflow(by: Self.entriesOnPage)
        guard !start.overflow, start.partialValue < EntryID.max - Self.entriesOnPage else {
          throw AdminFailure(400, "There is no page \(page)")
        }
        first = max(first, start.partialValue)
        let end = start.partialValue + Self.entriesOnPage - 1
        last = last == -1 ? end : min(last, end)
      }
      if last == -1 { last = EntryID.max }
      guard first >= 0, first <= last else {
        throw AdminFailure(400, "Entries \(first) through \(last) make no sense")
      }
      let operations = try services.operations
      var answer: [String: String] = [:]
      var bytes = 0
      var next = first
      while next <= last {
        let entries: [LedgerEntry]
        do {
          entries = try await operations.read(id, from: next, through: last, maxBytes: 4 << 20)
        } catch LedgerError.noSuchEntry where next > first || request.query["start_entry_id"] == nil {
          break
        }
        guard let end = entries.last else { break }
        for entry in entries {
          bytes += entry.payload.readableBytes
          answer["\(entry.entryID)"] = String(decoding: entry.payload.readableBytesView, as: UTF8.self)
        }
        guard bytes <= Self.maximumAnswer else {
          throw AdminFailure(
            413, "That is more than \(Self.maximumAnswer) bytes: read less at once with start_entry_id and end_entry_id"
          )
        }
        next = end.entryID + 1
      }
      return try .json(answer)
    }
  }
}

extension AdminRequest {
  /// The page that is asked for, from 1 on; nil: all.
  var page: Int? {
    get throws {
      guard let page = try queryNumber("page") else { return nil }
      guard page >= 1 else { throw PolicyError(.badRequest, "page \(page) is not possible: pages begin with 1") }
      return page
    }
  }
}
