import ArgumentParser

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
