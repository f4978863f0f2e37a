import Foundation
import NIOCore
import NIOPosix

/// Gives orders to the supervisor of a local mesh.
public struct ControlClient: Sendable {
  private let directory: MeshDirectory
  private let group: any EventLoopGroup

  /// A client for the mesh whose data are in `directory`.
  public init(directory: MeshDirectory, group: any EventLoopGroup) {
    self.directory = directory
    self.group = group
  }

  /// Whether a supervisor takes orders.
  public func isReachable() async -> Bool {
    guard let channel = try? await connect() else { return false }
    try? await channel.executeThenClose { _, _ in }
    return true
  }

  /// Gives an order and waits for its answer.
  ///
  /// - Parameters:
  ///   - request: the order.
  ///   - progress: called with each line of progress.
  /// - Throws: ``MeshError`` if no supervisor answers, or with its reason if it could not do as told.
  @discardableResult
  public func call(_ request: ControlRequest, progress: @Sendable (String) -> Void = { _ in }) async throws
    -> ControlResponse
  {
    let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
    do {
      channel = try await connect()
    } catch {
      throw MeshError("no mesh runs with its data in \(directory.path); start one with `meridian mesh up TOPOLOGY`")
    }
    return try await channel.executeThenClose { inbound, outbound in
      try await outbound.write(ControlServer.encode(request))
      var received = ByteBuffer()
      for try await bytes in inbound {
        received.writeImmutableBuffer(bytes)
        while let end = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
          let length = end - received.readerIndex
          guard let line = received.readSlice(length: length) else { break }
          received.moveReaderIndex(forwardBy: 1)
          let response = try JSONDecoder().decode(ControlResponse.self, from: Data(line.readableBytesView))
          switch response {
          case .progress(let text): progress(text)
          case .failed(let reason): throw MeshError(reason)
          case .status, .done: return response
          }
        }
      }
      throw MeshError("the mesh stopped before it answered; see \(directory.supervisorLog)")
    }
  }

  private func connect() async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: group).connectTimeout(.seconds(2)).connect(
      unixDomainSocketPath: directory.controlSocket
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
  }
}
