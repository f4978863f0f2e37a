import Broker
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Transport

/// A client of the admin API: JSON in, JSON out, errors as one sentence with the server's own reason.
///
/// Connections are kept alive and reused; a call that finds none idle opens one. Calls may run at once.
public final class AdminClient: Sendable {
  /// What the server answered: status below 400, headers, body.
  public struct Response: Sendable {
    /// HTTP status.
    public var status: Int
    /// Headers in order.
    public var headers: [(name: String, value: String)]
    /// The body, empty for 204.
    public var body: [UInt8]

    /// The first header of the name, whatever its case.
    public func header(_ name: String) -> String? {
      headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
  }

  /// Answers beyond this are refused.
  public static let maximumAnswer = 256 << 20

  /// The address, as given.
  public let url: String
  private let address: AdminURL
  private let tls: TLSContext?
  private let timeout: Duration
  private let group: any EventLoopGroup
  private let idle = NIOLockedValueBox<[AdminConnection]>([])

  /// Prepares a client; nothing is connected yet.
  /// - Parameters:
  ///   - url: `http://host:port` or `https://host:port`.
  ///   - tls: certificates for `https`; nil: the system's trust roots and host name verification.
  ///   - timeout: for each call, connecting included.
  /// - Throws: `AdminClientError.badURL`, or what reading the certificates fails with.
  public init(
    url: String, tls: TLSConfiguration? = nil, timeout: Duration = .seconds(30),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) throws {
    self.url = url
    address = try AdminURL(url)
    self.tls = address.isTLS ? try TLSContext(tls ?? TLSConfiguration(), role: .client) : nil
    self.timeout = timeout
    self.group = group
  }

  /// Closes the idle connections. The client may still be used.
  public func close() {
    let connections = idle.withLockedValue { idle in
      defer { idle = [] }
      return idle
    }
    for connection in connections { connection.close() }
  }

  deinit {
    close()
  }

  /// A path of percent-encoded components below `prefix`: `path("/admin/v2/tenants", "a/b")` is `/admin/v2/tenants/a%2Fb`.
  public static func path(_ prefix: String, _ components: String...) -> String {
    components.reduce(prefix) { $0 + "/" + PercentCoding.encode($1) }
  }

  /// The path of a topic below `/admin/v2`: `/admin/v2/persistent/tenant/namespace/topic`.
  public static func path(of topic: TopicName) -> String {
    path("/admin/v2/\(topic.domain.rawValue)", topic.namespace.tenant, topic.namespace.localName, topic.localName)
  }

  /// GET, decoded.
  public func get<Value: Decodable>(
    _ path: String, query: [String: String] = [:], as type: Value.Type = Value.self
  ) async throws(AdminClientError) -> Value {
    let response = try await send("GET", path, query: query)
    return try decode(type, response, "GET \(path)")
  }

  /// GET of something that may not be set: nil for 204.
  public func getOptional<Value: Decodable>(
    _ path: String, query: [String: String] = [:], as type: Value.Type = Value.self
  ) async throws(AdminClientError) -> Value? {
    let response = try await send("GET", path, query: query)
    return response.body.isEmpty ? nil : try decode(type, response, "GET \(path)")
  }

  /// GET as text.
  public func text(_ path: String, query: [String: String] = [:]) async throws(AdminClientError) -> String {
    String(decoding: try await send("GET", path, query: query).body, as: UTF8.self)
  }

  /// PUT with a JSON body.
  @discardableResult
  public func put(
    _ path: String, query: [String: String] = [:], _ body: some Encodable & Sendable
  ) async throws(AdminClientError) -> Response {
    try await send("PUT", path, query: query, body: try encode(body, path))
  }

  /// PUT without a body.
  @discardableResult
  public func put(_ path: String, query: [String: String] = [:]) async throws(AdminClientError) -> Response {
    try await send("PUT", path, query: query)
  }

  /// POST with a JSON body.
  @discardableResult
  public func post(
    _ path: String, query: [String: String] = [:], _ body: some Encodable & Sendable
  ) async throws(AdminClientError) -> Response {
    try await send("POST", path, query: query, body: try encode(body, path))
  }

  /// POST without a body.
  @discardableResult
  public func post(_ path: String, query: [String: String] = [:]) async throws(AdminClientError) -> Response {
    try await send("POST", path, query: query)
  }

  /// DELETE.
  @discardableResult
  public func delete(_ path: String, query: [String: String] = [:]) async throws(AdminClientError) -> Response {
    try await send("DELETE", path, query: query)
  }

  /// Sends a request and returns the answer; a status of 400 or above is thrown as `refused` with the server's reason.
  /// - Parameter path: percent-encoded, see `path(_:_:)`.
  public func send(
    _ method: String, _ path: String, query: [String: String] = [:], body: [UInt8]? = nil
  ) async throws(AdminClientError) -> Response {
    var target = path
    if !query.isEmpty {
      target +=
        "?"
        + query.sorted { $0.key < $1.key }
        .map { "\(PercentCoding.encode($0.key))=\(PercentCoding.encode($0.value))" }.joined(separator: "&")
    }
    var headers = [("Host", address.authority), ("Accept", "application/json, */*"), ("User-Agent", "meridian")]
    if let body {
      headers.append(("Content-Type", "application/json"))
      headers.append(("Content-Length", String(body.count)))
    } else if method != "GET" {
      headers.append(("Content-Length", "0"))
    }
    let request = AdminConnection.Request(method: method, target: target, headers: headers, body: body)
    let answer: AdminConnection.Answer
    do {
      answer = try await exchange(request)
    } catch let error as AdminClientError {
      throw error
    } catch {
      throw .unreachable(url: address.description, reason: Self.sentence(error))
    }
    guard answer.status < 400 else {
      throw .refused(status: answer.status, reason: Self.reason(answer.body), request: "\(method) \(path)")
    }
    return Response(
      status: answer.status, headers: answer.headers.map { (name: $0.0, value: $0.1) }, body: answer.body)
  }

  private func exchange(_ request: AdminConnection.Request) async throws -> AdminConnection.Answer {
    let deadline = ContinuousClock.now + timeout
    if let connection = idle.withLockedValue({ $0.popLast() }) {
      do {
        return try await exchange(request, on: connection, deadline)
      } catch let error as AdminClientError {
        throw error
      } catch  where request.method == "GET" {
        // The server closes idle connections; a question may be asked again on a new one.
      } catch {
        // Whether a change was made before the connection broke is unknown, unless it never left.
        guard Self.neverLeft(error) else { throw error }
      }
    }
    let left = max(.milliseconds(1), deadline - .now)
    let connection: AdminConnection
    do {
      connection = try await AdminConnection.connect(
        to: address, tls: tls, group: group, timeout: TimeAmount(left), maximumAnswer: Self.maximumAnswer)
    } catch let error as ChannelError {
      if case .connectTimeout = error { throw AdminClientError.timeout(url: address.description, after: timeout) }
      throw error
    }
    return try await exchange(request, on: connection, deadline)
  }

  private func exchange(
    _ request: AdminConnection.Request, on connection: AdminConnection, _ deadline: ContinuousClock.Instant
  ) async throws -> AdminConnection.Answer {
    let isLate = NIOLockedValueBox(false)
    let alarm = connection.channel.eventLoop.scheduleTask(in: TimeAmount(max(.zero, deadline - .now))) {
      isLate.withLockedValue { $0 = true }
      connection.close()
    }
    defer { alarm.cancel() }
    do {
      let answer = try await withTaskCancellationHandler {
        try await connection.send(request)
      } onCancel: {
        connection.close()
      }
      if answer.isReusable {
        idle.withLockedValue { $0.append(connection) }
      } else {
        connection.close()
      }
      return answer
    } catch {
      connection.close()
      if isLate.withLockedValue({ $0 }) {
        throw AdminClientError.timeout(url: address.description, after: timeout)
      }
      throw error
    }
  }

  private func encode(_ body: some Encodable, _ path: String) throws(AdminClientError) -> [UInt8] {
    do {
      return try PolicyJSON.encode(body)
    } catch {
      throw .badAnswer(request: path, reason: "the body cannot be written as JSON: \(error)")
    }
  }

  private func decode<Value: Decodable>(
    _ type: Value.Type, _ response: Response, _ request: String
  ) throws(AdminClientError) -> Value {
    do {
      return try PolicyJSON.decode(type, from: response.body, what: "answer")
    } catch {
      throw .badAnswer(request: request, reason: error.reason)
    }
  }

  private struct Refusal: Decodable {
    var reason: String?
  }

  private static func reason(_ body: [UInt8]) -> String {
    if let refusal = try? PolicyJSON.decode(Refusal.self, from: body, what: "refusal"), let reason = refusal.reason {
      return reason
    }
    return String(decoding: body.prefix(500), as: UTF8.self)
  }

  private static func neverLeft(_ error: any Error) -> Bool {
    if case .ioOnClosedChannel = error as? ChannelError { return true }
    return false
  }

  private static func sentence(_ error: any Error) -> String {
    ErrorText.describe(error)
  }
}
