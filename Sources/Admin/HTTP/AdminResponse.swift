import Broker

/// What a handler answers.
struct AdminResponse: Sendable {
  var status: Int
  var contentType: String?
  var headers: [(String, String)] = []
  var body: [UInt8] = []

  /// A change that has nothing to say.
  static let noContent = AdminResponse(status: 204)

  /// 200 with JSON.
  static func json(_ value: some Encodable, status: Int = 200) throws -> AdminResponse {
    AdminResponse(status: status, contentType: "application/json", body: try PolicyJSON.encode(value))
  }

  /// 200 with JSON, or 204 when there is no value: what Pulsar answers for a policy that is not set.
  static func optional(_ value: (some Encodable)?) throws -> AdminResponse {
    guard let value else { return .noContent }
    return try json(value)
  }

  /// 200 with plain text.
  static func text(_ text: String, contentType: String = "text/plain; charset=utf-8") -> AdminResponse {
    AdminResponse(status: 200, contentType: contentType, body: Array(text.utf8))
  }

  /// An error with Pulsar's body `{"reason": …}`.
  static func failure(_ status: Int, _ reason: String) -> AdminResponse {
    let body = (try? PolicyJSON.encode(["reason": reason])) ?? Array("{}".utf8)
    return AdminResponse(status: status, contentType: "application/json", body: body)
  }
}
