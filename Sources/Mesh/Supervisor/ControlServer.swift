import Foundation
import NIOCore
import NIOPosix

/// Takes orders for a local mesh on a Unix socket: one JSON request, then JSON answers, each a line.
struct ControlServer {
  /// Answers one request; may send progress before it returns the final answer.
  typealias Handler =
    @Sendable (ControlRequest, @escaping @Sendable (ControlResponse) async -> Void) async -> ControlResponse

  /// Largest request in bytes.
  static let maximumRequest = 64 << 10

  /// Serves until the task is cancelled.
  ///
  /// - Parameters:
  ///   - path: of the socket; an old file of that name is replaced.
  ///   - ready: called once the socket takes connections.
  static func serve(
    path: String, group: any EventLoopGroup, ready: @escaping @Sendable () -> Void, handler: @escaping Handler
  ) async throws {
    let server = try await ServerBootstrap(group: group).bind(
      unixDomainSocketPath: path, cleanupExistingSocketFile: true
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    ready()
    try await withThrowingDiscardingTaskGroup { tasks in
      try await server.executeThenClose { connections in
        for try await connection in connections {
          tasks.addTask { try? await answer(connection, handler) }
        }
      }
    }
  }

  private static func answer(
    _ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ handler: @escaping Handler
  ) async throws {
    try await connection.executeThenClose { inbound, outbound in
      var received = ByteBuffer()
      for try await bytes in inbound {
        received.writeImmutableBuffer(bytes)
        guard received.readableBytes <= maximumRequest else { return }
        guard let end = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else { continue }
        let line = Data(received.readableBytesView[..<end])
        let send: @Sendable (ControlResponse) async -> Void = { response in
          if let bytes = try? encode(response) { try? await outbound.write(bytes) }
        }
        let request: ControlRequest
        do {
          request = try JSONDecoder().decode(ControlRequest.self, from: line)
        } catch {
          await send(.failed("the mesh did not understand the request; use the same version of meridian on both ends"))
          return
        }
        await send(await handler(request, send))
        return
      }
    }
  }

  static func encode(_ value: some Encodable) throws -> ByteBuffer {
    var data = try JSONEncoder().encode(value)
    data.append(UInt8(ascii: "\n"))
    return ByteBuffer(bytes: data)
  }
}
