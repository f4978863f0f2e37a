import Admin
import Foundation

/// One command's conversation with a region's admin API.
struct AdminSession {
  enum Method: String { case get = "GET", put = "PUT", post = "POST", delete = "DELETE" }

  let address: String
  private let client: AdminClient

  init(address: String, timeout: Duration = .seconds(30)) throws {
    self.address = address
    client = try AdminClient(url: address, timeout: timeout)
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

  /// Makes a call; answers what came back, `null` if nothing did.
  @discardableResult
  func send(_ call: AdminCall) async throws -> JSONValue {
    let answer = try await answer(call).body
    guard !answer.isEmpty else { return .null }
    return (try? JSONDecoder().decode(JSONValue.self, from: Data(answer)))
      ?? .string(String(decoding: answer, as: UTF8.self))
  }

  /// Makes a call; answers all that came back.
  func answer(_ call: AdminCall) async throws -> AdminClient.Response {
    var target = call.path.hasPrefix("/") ? call.path : "/admin/v2/" + call.path
    for (index, pair) in call.query.enumerated() {
      target += (index == 0 ? "?" : "&") + Self.escape(pair.0) + "=" + Self.escape(pair.1)
    }
    let bytes = try call.body.map { [UInt8](try JSONEncoder().encode($0)) }
    return try await client.send(call.method.rawValue, target, body: bytes)
  }

  /// Prints a list of names, one a line under a title, or as JSON.
  func printNames(_ call: AdminCall, json: Bool, title: String) async throws {
    let answer = try await send(call)
    if json { return try JSONOutput.print(answer) }
    var table = Table(title)
    for name in answer.array { table.add(name.text) }
    table.print()
  }

  /// Prints an object as rows of key and value, or as JSON.
  func printObject(_ call: AdminCall, json: Bool) async throws {
    let answer = try await send(call)
    if json { try JSONOutput.print(answer) } else { Self.printRows(answer) }
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
}
