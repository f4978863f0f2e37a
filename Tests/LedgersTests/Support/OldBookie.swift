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

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      frames.append(unwrapInboundIn(data))
      var writer = BookieFrameWriter()
      let emit = { (bytes: ByteBuffer) in context.write(NIOAny(bytes), promise: nil) }
      while let frame = try? frames.nextFrame(), let request = try? BookieRequest(decoding: frame) {
        guard let answer = bookie.answer(request) else {
          context.close(promise: nil)
          return
        }
        writer.append(answer, emit: emit)
      }
      writer.finish(emit: emit)
      context.flush()
    }
  }
}
