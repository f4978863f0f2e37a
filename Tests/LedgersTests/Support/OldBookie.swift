import BookieWire
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

@testable import Ledgers

/// A bookie as old as the v2 protocol: without request ids, and it hangs up on operations that it does not know. It keeps
/// entries in memory.
final class OldBookie: Sendable {
  private struct Key: Hashable {
    var ledger: Int64
    var entry: Int64
  }

  private struct State {
    var entries: [Key: ByteBuffer] = [:]
    var batchReads = 0
    var reads = 0
    var lastRead: Int64?
    var connections = 0
    /// Answers to reads that wait; nil: none do.
    var held: [@Sendable () -> Void]?
  }

  private let state = NIOLockedValueBox(State())
  private let channel: any Channel

  static func start(_ id: String, metadata: any MetadataStore, group: any EventLoopGroup) async throws -> OldBookie {
    let made = NIOLockedValueBox<OldBookie?>(nil)
    let channel = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let bookie = made.withLockedValue({ $0 }) else { return }
          try channel.pipeline.syncOperations.addHandler(Handler(bookie))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let bookie = OldBookie(channel)
    made.withLockedValue { $0 = bookie }
    let port = channel.localAddress?.port ?? 0
    try await metadata.put(
      BookieRegistration.available + id, Array(#"{"host":"127.0.0.1","port":\#(port)}"#.utf8))
    return bookie
  }

  private init(_ channel: any Channel) { self.channel = channel }

  func stop() async throws { try await channel.close() }

  /// Batch reads and single reads that arrived.
  var reads: (batch: Int, single: Int) { state.withLockedValue { ($0.batchReads, $0.reads) } }

  /// The entry of the last single read that arrived.
  var lastRead: Int64? { state.withLockedValue { $0.lastRead } }

  /// Connections that were made to it.
  var connections: Int { state.withLockedValue { $0.connections } }

  /// Reads are not answered from now on.
  func holdReads() { state.withLockedValue { $0.held = [] } }

  /// Answers what waits for it.
  func releaseReads() {
    let held = state.withLockedValue { state in
      defer { state.held = nil }
      return state.held ?? []
    }
    for answer in held { answer() }
  }

  fileprivate func hold(_ answer: @escaping @Sendable () -> Void) -> Bool {
    state.withLockedValue { state in
      state.held?.append(answer)
      return state.held != nil
    }
  }

  fileprivate func connected() { state.withLockedValue { $0.connections += 1 } }

  /// The answer; nil to hang up.
  fileprivate func answer(_ request: BookieRequest) -> BookieResponse? {
    switch request {
    case .auth(let message) where message.pluginName == BookieAuthMessage.requestIDPluginName:
      return .auth(.disabled)
    case .auth(let message): return .auth(message.answer)
    case .add(let add):
      state.withLockedValue {
        $0.entries[Key(ledger: add.ledgerID, entry: add.entryID)] = add.entry.joined()
      }
      return .add(AddResponse(requestID: add.requestID, code: .ok, ledgerID: add.ledgerID, entryID: add.entryID))
    case .read(let read):
      let entry = state.withLockedValue { state in
        state.reads += 1
        state.lastRead = read.entryID
        var wanted = read.entryID
        if wanted == ReadRequest.lastEntry {
          wanted = state.entries.keys.filter { $0.ledger == read.ledgerID }.map(\.entry).max() ?? -1
        }
        return state.entries[Key(ledger: read.ledgerID, entry: wanted)]
      }
      return .read(
        ReadResponse(
          requestID: read.requestID, code: entry == nil ? .noEntry : .ok, ledgerID: read.ledgerID,
          entryID: read.entryID, entry: entry))
    case .batchRead:
      state.withLockedValue { $0.batchReads += 1 }
      return nil
    }
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bookie: OldBookie
    private var frames = BookieFrameReader()

    init(_ bookie: OldBookie) { self.bookie = bookie }

    func channelActive(context: ChannelHandlerContext) { bookie.connected() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      frames.append(unwrapInboundIn(data))
      var writer = BookieFrameWriter()
      let emit = { (bytes: ByteBuffer) in context.write(NIOAny(bytes), promise: nil) }
      while let frame = try? frames.nextFrame(), let request = try? BookieRequest(decoding: frame) {
        guard let answer = bookie.answer(request) else {
          context.close(promise: nil)
          return
        }
        if case .read = answer {
          let channel = context.channel
          let isHeld = bookie.hold {
            var writer = BookieFrameWriter()
            let emit = { (bytes: ByteBuffer) in channel.writeAndFlush(bytes, promise: nil) }
            writer.append(answer, emit: emit)
            writer.finish(emit: emit)
          }
          if isHeld { continue }
        }
        writer.append(answer, emit: emit)
      }
      writer.finish(emit: emit)
      context.flush()
    }
  }
}
