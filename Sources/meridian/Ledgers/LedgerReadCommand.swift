import ArgumentParser
import Foundation
import Mesh

/// `meridian ledgers read`: the entries of a ledger, for people, for programs, or as the bytes they are.
struct LedgerReadCommand: AsyncParsableCommand {
  enum Format: String, CaseIterable, ExpressibleByArgument { case text, hex, raw }

  static let configuration = CommandConfiguration(
    commandName: "read", abstract: "Read entries of a ledger, without fencing or closing it.",
    discussion: """
      text shows what can be printed and dots for the rest, hex shows both; raw writes the payloads as they are, one behind
      the other. --json prints an object for each entry, with its payload in base64. An entry of a topic is a message, or a
      batch of them, with Pulsar's metadata before it.

      Example: meridian ledgers read 7 --from 10 --through 12 --format hex
      Example: meridian ledgers read 7 --format raw --output ledger-7.bin
      """)

  @OptionGroup var target: LedgerTarget
  @Option(help: "First entry.") var from: Int64 = 0
  @Option(help: "Last entry; without it, all there are.") var through: Int64?
  @Option(help: "text, hex or raw.") var format = Format.text
  @Option(name: .shortAndLong, help: ArgumentHelp("Write to a file, which must not exist.", valueName: "file"))
  var output: String?

  func validate() throws {
    guard from >= 0, through ?? from >= from else {
      throw ValidationError("--from must be 0 or more, and --through not below it")
    }
    guard !target.options.json || format == .text else { throw ValidationError("Give --json or --format, not both") }
  }

  func run() async throws {
    let file = try output.map { try Self.create($0) } ?? FileHandle.standardOutput
    try await target.options.withSession { session in
      var next: Int64? = from
      var entries = 0
      var bytes = 0
      while let start = next {
        var query = target.query + [("from", "\(start)"), ("max_bytes", "\(4 << 20)")]
        if let through { query.append(("through", "\(through)")) }
        let page: JSONValue
        do {
          page = try await session.send(.get(LedgersCommand.path("ledger/entries"), query: query))
        } catch let error where start > from && "\(error)".contains("has no entry") {
          break
        } catch let error where start == 0 && through == nil && "\(error)".contains("has no entry 0") {
          break
        }
        for entry in page["entries"].array {
          guard let payload = Data(base64Encoded: entry["payloadBase64"].text) else {
            throw CommandFailure("the region's answer has an entry that cannot be read")
          }
          entries += 1
          bytes += payload.count
          try file.write(contentsOf: try rendered(entry, payload))
        }
        next = page["next"].integerValue
        if let through, let following = next, following > through { next = nil }
      }
      if let output {
        try file.close()
        print("\(entries) entries, \(Humanize.bytes(Double(bytes))) of payload, in \(output)")
      } else if entries == 0, !target.options.json, format != .raw {
        let isClosed = try await target.summary(session)["state"] == .string("CLOSED")
        print(
          isClosed
            ? "ledger \(target.ledger) is empty"
            : "ledger \(target.ledger) is being written, and no entry is known to be acknowledged yet")
      }
    }
  }

  private static func create(_ path: String) throws -> FileHandle {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw CommandFailure("cannot create \(path): \(String(cString: strerror(errno)))")
    }
    return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  private func rendered(_ entry: JSONValue, _ payload: Data) throws -> Data {
    if target.options.json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return try encoder.encode(entry) + Data([0x0a])
    }
    let head = "--- entry \(entry["entryId"].text), \(payload.count) bytes\n"
    switch format {
    case .raw: return payload
    case .text: return Data("\(head)\(Self.printable(payload))\n".utf8)
    case .hex: return Data((head + Self.hex(payload)).utf8)
    }
  }

  /// What of the bytes is text; dots for the rest.
  static func printable(_ bytes: Data) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
      text.unicodeScalars.allSatisfy({ $0 == "\n" || $0 == "\t" || !$0.properties.isControl })
    {
      return text
    }
    return String(decoding: bytes.map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
  }

  /// Sixteen bytes a line: where they are, in hexadecimal, and as text.
  static func hex(_ bytes: Data) -> String {
    func digits(_ value: Int, _ count: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    var lines = ""
    let all = [UInt8](bytes)
    for start in stride(from: 0, to: all.count, by: 16) {
      let row = all[start..<min(start + 16, all.count)]
      var line = digits(start, 8) + "  "
      for index in 0..<16 {
        line += index < row.count ? digits(Int(row[start + index]), 2) + " " : "   "
        if index == 7 { line += " " }
      }
      lines += line + " |" + String(decoding: row.map { (0x20..<0x7f).contains($0) ? $0 : 0x2e }, as: UTF8.self) + "|\n"
    }
    return lines
  }
}

extension Unicode.Scalar.Properties {
  fileprivate var isControl: Bool { generalCategory == .control || generalCategory == .unassigned }
}
