/// How a ledger's metadata is shown to people.
enum LedgerFigures {
  /// Number of entries; `?` while it is not closed.
  static func entries(_ ledger: JSONValue) -> String {
    ledger["lastEntry"].integerValue.map { String($0 + 1) } ?? "?"
  }

  /// Ensemble size, write quorum and ack quorum.
  static func quorums(_ ledger: JSONValue) -> String {
    ["ensembleSize", "writeQuorumSize", "ackQuorumSize"].map { ledger[$0].text }.joined(separator: "/")
  }

  /// The topic that the ledger belongs to, as `persistent://tenant/namespace/topic`; nil if it names none.
  static func topic(_ ledger: JSONValue) -> String? {
    guard case .string(let name) = ledger["customMetadata"]["pulsar/managed-ledger"] else { return nil }
    if name.contains("://") { return name }
    // As Pulsar names its managed ledgers: tenant/namespace/domain/topic.
    let parts = name.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    return parts.count == 4 ? "\(parts[2])://\(parts[0])/\(parts[1])/\(parts[3])" : name
  }

  /// The topic, and the cursor if the ledger is one's.
  static func owner(_ ledger: JSONValue) -> String {
    guard let topic = topic(ledger) else { return "-" }
    let cursor = ledger["customMetadata"]["pulsar/cursor"]
    return cursor == .null ? topic : "\(topic) cursor \(cursor.text)"
  }

  /// The runs of entries with the bookies that hold them.
  static func segments(_ ledger: JSONValue) -> Table {
    var table = Table([("FROM ENTRY", .right), ("THROUGH", .right), ("BOOKIES", .left)])
    let segments = ledger["segments"].array
    for (index, segment) in segments.enumerated() {
      let end: String
      if index + 1 < segments.count {
        end = segments[index + 1]["firstEntry"].integerValue.map { String($0 - 1) } ?? "?"
      } else {
        let last = ledger["lastEntry"].integerValue
        end = last.map { $0 < 0 ? "none" : String($0) } ?? "still written"
      }
      table.add(segment["firstEntry"].text, end, segment["ensemble"].array.map(\.text).joined(separator: " "))
    }
    return table
  }

  /// Copies of a run of entries on a bookie.
  static func copies(_ copies: JSONValue) -> String {
    "\(copies["bookie"].text):\(range(copies))"
  }

  /// A run of entries.
  static func range(_ copies: JSONValue) -> String {
    let (first, last) = (copies["first"].text, copies["last"].text)
    return first == last ? first : "\(first)-\(last)"
  }
}
