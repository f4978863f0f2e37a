import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOConcurrencyHelpers
import SwiftProtobuf

/// Calls to an etcd cluster: one connection for each member, of which one is used until it fails. Thread-safe.
final class EtcdClient: Sendable {
  typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

  let configuration: EtcdConfiguration
  private let clients: [Client]
  private let runners: [Task<Void, Never>]
  private let current = NIOLockedValueBox(0)

  init(_ configuration: EtcdConfiguration) throws(MetadataError) {
    self.configuration = configuration
    guard !configuration.endpoints.isEmpty else { throw .storage("No member of the etcd cluster is named.") }
    do {
      clients = try configuration.endpoints.map { try Client(transport: Self.transport($0, configuration)) }
    } catch {
      throw .storage("The connections to etcd cannot be set up: \(error)")
    }
    runners = clients.map { client in Task { try? await client.runConnections() } }
  }

  private static func transport(
    _ endpoint: EtcdConfiguration.Endpoint, _ configuration: EtcdConfiguration
  ) throws -> HTTP2ClientTransport.Posix {
    var config = HTTP2ClientTransport.Posix.Config.defaults
    config.backoff = .init(initial: .milliseconds(100), max: .seconds(1), multiplier: 1.6, jitter: 0.2)
    // etcd takes no more than one ping in five seconds.
    config.connection.keepalive = .init(time: .seconds(10), timeout: .seconds(5), allowWithoutCalls: false)
    return try .http2NIOPosix(
      target: .dns(host: endpoint.host, port: endpoint.port), transportSecurity: security(configuration.tls),
      config: config)
  }

  private static func security(_ tls: EtcdConfiguration.TLS?) -> HTTP2ClientTransport.Posix.TransportSecurity {
    guard let tls else { return .plaintext }
    return .tls { config in
      if let trust = tls.trustCertsFilePath {
        config.trustRoots = .certificates([.file(path: trust, format: .pem)])
      }
      if let certificate = tls.certificateFilePath, let key = tls.keyFilePath {
        config.certificateChain = [.file(path: certificate, format: .pem)]
        config.privateKey = .file(path: key, format: .pem)
      }
    }
  }

  /// Ends every call and connection; returns when they are gone.
  func close() async {
    for client in clients { client.beginGracefulShutdown() }
    // Calls under way would keep the connections open for as long as their members like.
    for runner in runners { runner.cancel() }
    for runner in runners { await runner.value }
  }

  // MARK: Calls

  /// A call that may be repeated, until it is answered or the time for operations is over.
  func call<Request, Response>(
    _ method: EtcdMethod<Request, Response>, _ request: Request
  ) async throws -> Response {
    var patience = EtcdPatience(configuration.operationTimeout)
    while true {
      do {
        return try await attempt(method, request, timeout: patience.attempt(configuration.attemptTimeout))
      } catch {
        if case .closed = error { throw MetadataError.closed }
        if case .refused = error { throw error }
        try Task.checkCancellation()
        guard let pause = patience.pause() else { throw error }
        try await Task.sleep(for: pause)
      }
    }
  }

  /// One attempt on the member in turn; a member that does not answer is not the next one to be asked.
  func attempt<Request, Response>(
    _ method: EtcdMethod<Request, Response>, _ request: Request, timeout: Duration
  ) async throws(EtcdFailure) -> Response {
    try await onMember { client in
      try await client.unary(
        request: ClientRequest(message: request), descriptor: method.descriptor,
        serializer: ProtobufSerializer<Request>(), deserializer: ProtobufDeserializer<Response>(),
        options: self.options(timeout: timeout)
      ) { try $0.message }
    }
  }

  /// Opens a stream with one request, and hands out the answers until `receive` returns false or the stream ends.
  func stream<Request, Response>(
    _ method: EtcdMethod<Request, Response>, _ request: Request, timeout: Duration?,
    _ receive: @escaping @Sendable (Response) async throws -> Bool
  ) async throws(EtcdFailure) {
    try await onMember { client in
      try await client.bidirectionalStreaming(
        request: StreamingClientRequest(metadata: ["hasleader": "true"]) { writer in
          try await writer.write(request)
          // The end of the requests would be the end of the stream; this one ends with its task.
          while true { try await Task.sleep(for: .seconds(3600)) }
        },
        descriptor: method.descriptor, serializer: ProtobufSerializer<Request>(),
        deserializer: ProtobufDeserializer<Response>(), options: self.options(timeout: timeout)
      ) { response in
        for try await message in response.messages {
          if try await !receive(message) { return }
        }
      }
    }
  }

  private func onMember<R: Sendable>(
    _ body: (Client) async throws -> R
  ) async throws(EtcdFailure) -> R {
    let member = current.withLockedValue { $0 }
    do {
      return try await body(clients[member])
    } catch {
      let failure = EtcdFailure(error)
      if case .lost = failure, !Task.isCancelled {
        // Several calls may find out at once: only the first moves on.
        current.withLockedValue { if $0 == member { $0 = (member + 1) % clients.count } }
      }
      throw failure
    }
  }

  private func options(timeout: Duration?) -> CallOptions {
    var options = CallOptions.defaults
    options.timeout = timeout
    options.waitForReady = false
    // The transport bounds answers, too, by the first of the two.
    options.maxRequestMessageBytes = configuration.maximumResponseSize
    options.maxResponseMessageBytes = configuration.maximumResponseSize
    return options
  }
}

/// How long an operation goes on, and how it pauses between its attempts.
struct EtcdPatience {
  private let deadline: ContinuousClock.Instant
  private var next = Duration.milliseconds(10)

  init(_ limit: Duration, now: ContinuousClock.Instant = .now) {
    deadline = now + limit
  }

  /// How long an attempt that begins now may take.
  func attempt(_ limit: Duration, now: ContinuousClock.Instant = .now) -> Duration {
    max(.milliseconds(1), min(limit, deadline - now))
  }

  /// How long to wait for the next attempt; nil when there is no time for another one.
  mutating func pause(now: ContinuousClock.Instant = .now) -> Duration? {
    guard now + next < deadline else { return nil }
    defer { next = min(next * 2, .milliseconds(500)) }
    return next
  }
}
