import Foundation

/// Where what the store keeps is in etcd: `<root>/records<key>`, `<root>/sequences/<name>`, `<root>/sessions/<lease>/<n>`.
struct EtcdKeys: Sendable {
  /// What the etcd key of every record begins with.
  let records: [UInt8]
  /// What the etcd key of every marker begins with.
  let sessions: [UInt8]
  private let sequences: [UInt8]

  init(root: String) {
    records = Array("\(root)/records".utf8)
    sequences = Array("\(root)/sequences/".utf8)
    sessions = Array("\(root)/sessions/".utf8)
  }

  func record(_ key: String) -> Data { Data(records + Array(key.utf8)) }

  func sequence(_ name: String) -> Data { Data(sequences + Array(name.utf8)) }

  /// The key of a record, or nil if it is none.
  func key(_ encoded: Data) -> String? {
    encoded.starts(with: records) ? String(decoding: encoded.dropFirst(records.count), as: UTF8.self) : nil
  }

  /// The range of keys that begin with `prefix` and are greater than `after`.
  func range(prefix: String, after: String?) -> (from: Data, end: Data) {
    let first = records + Array(prefix.utf8)
    var from = first
    if let after {
      let behind = records + Array(after.utf8) + [0]
      if first.lexicographicallyPrecedes(behind) { from = behind }
    }
    return (Data(from), Data(Self.end(of: first)))
  }

  /// The first key that does not begin with `prefix` and is greater; what etcd takes for "all" if there is none.
  private static func end(of prefix: [UInt8]) -> [UInt8] {
    var end = prefix
    while let last = end.popLast() {
      if last < 255 { return end + [last + 1] }
    }
    return [0]
  }
}
