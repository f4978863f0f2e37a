import Admin
import Foundation

/// One command's conversation with a region's admin API.
struct AdminSession {
  enum Method: String { case get = "GET", put = "PUT", post = "POST", delete = "DELETE" }

  let address: String
  private let client: AdminClient

  init(address: String) throws {
    self.address = address
    client = try AdminClient(url: address)
  }

  func close() {
    client.close()
  }

  /// Makes a text safe as one segment of a path.
  static func escape(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: "~"):
        escaped.unicodeScalars.append(UnicodeScalar(byte))
      default:
        escaped += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return escaped
  }

  /// Gets a resource below `/admin/v2/`.
  func get(_ path: String, query: [(String, String)] = []) async throws -> JSONValue {
    try await call(.get, path, query: query, body: nil)
  }

  /// Changes a resource below `/admin/v2/`; answers what came back, `null` if nothing did.
  @discardableResult
  func send(_ method: Method, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil) async throws
    -> JSONValue
  {
    try await call(method, path, query: query, body: body)
  }

  /// Prints a list of names, one a line under a title, or as JSON.
  func printNames(_ path: String, query: [(String, String)] = [], json: Bool, title: String) async throws {
    let answer = try await get(path, query: query)
    if json {
      try JSONOutput.print(answer)
    } else {
      var table = Table(title)
      for name in answer.array { table.add(name.text) }
      table.print()
    }
  }

  /// Prints an object as rows of key and value, or as JSON.
  func printObject(_ path: String, query: [(String, String)] = [], json: Bool) async throws {
    let answer = try await get(path, query: query)
    if json {
      try JSONOutput.print(answer)
    } else {
      Self.printRows(answer)
    }
  }

  /// Prints one value: an object as rows, anything else on a line.
  static func printRows(_ value: JSONValue) {
    guard case .object(let fields) = value else {
      print(value.text)
      return
    }
    var table = Table("FIELD", "VALUE")
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) { table.add(key, value.text) }
    table.print()
  }

  private func call(_ method: Method, _ path: String, query: [(String, String)], body: JSONValue?) async throws
    -> JSONValue
  {
    var target = "/admin/v2/" + path
    for (index, pair) in query.enumerated() {
      target += (index == 0 ? "?" : "&") + Self.escape(pair.0) + "=" + Self.escape(pair.1)
    }
    let bytes = try body.map { [UInt8](try JSONEncoder().encode($0)) }
    let answer = try await client.send(method.rawValue, target, body: bytes).body
    guard !answer.isEmpty else { return .null }
    return (try? JSONDecoder().decode(JSONValue.self, from: Data(answer)))
      ?? .string(String(decoding: answer, as: UTF8.self))
  }
}
