import ArgumentParser
import Foundation
import Mesh

/// A message id on the command line: `earliest`, `latest` or `ledger:entry`.
enum MessageIDArgument {
  static func json(_ text: String) throws -> JSONValue {
    switch text {
    case "earliest": return object(-1, -1)
    case "latest": return object(.max, .max)
    default:
      let parts = text.split(separator: ":").map { Int64($0) }
      guard parts.count == 2, let ledger = parts[0], let entry = parts[1] else {
        throw ValidationError("message id `\(text)` must be earliest, latest or ledger:entry")
      }
      return object(ledger, entry)
    }
  }

  private static func object(_ ledger: Int64, _ entry: Int64) -> JSONValue {
    .object(["ledgerId": .integer(ledger), "entryId": .integer(entry), "partitionIndex": .integer(-1)])
  }
}

/// Where a subscription is moved to: a time or a message.
struct ResetTarget {
  let pathSuffix: String
  let body: JSONValue?

  init(time: String?, messageID: String?) throws {
    switch (time, messageID) {
    case (let time?, nil):
      guard let ago = Quantity.duration(time) else {
        throw ValidationError("--time must be a duration such as 10m or 30s")
      }
      let now = Int64(Date().timeIntervalSince1970 * 1000)
      pathSuffix = "/\(now - ago.nanoseconds / 1_000_000)"
      body = nil
    case (nil, let messageID?):
      pathSuffix = ""
      body = try MessageIDArgument.json(messageID)
    default:
      throw ValidationError("give either --time or --message-id")
    }
  }
}
