import BookieWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing
import Transport

@testable import Bookie

/// Bytes over a real socket, as a stock v2 client would send and expect them.
@Suite("Bookie: protocol over a socket")
struct BookieSocketTests {
  static let key = "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"
  static let entry =
    "00000000000000010000000000000000ffffffffffffffff0000000000000005e3a5f74d68656c6c6f"

  @Test("Golden vectors: add, read, last entry, fence, fenced add, batch read, auth")
  func golden() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let socket = try await RawSocket.connect(bookie.port)
      let add = "0000004102010000\(Self.key)\(Self.entry)"
      #expect(try await socket.exchange(add) == "00000018020100000000000000000000000000010000000000000000")
      #expect(
        try await socket.exchange("000000140202000000000000000000010000000000000000")
          == "00000041" + "02020000" + "00000000" + "0000000000000001" + "0000000000000000" + Self.entry)
      #expect(
        try await socket.exchange("00000014020200000000000000000001ffffffffffffffff")
          == "00000041" + "02020000" + "00000000" + "0000000000000001" + "ffffffffffffffff" + Self.entry)
      #expect(
        try await socket.exchange("00000028020200010000000000000001ffffffffffffffff\(Self.key)")
          == "00000041" + "02020000" + "00000000" + "0000000000000001" + "ffffffffffffffff" + Self.entry)
      #expect(try await socket.exchange(add) == "00000018020100000000006800000000000000010000000000000000")
      #expect(
        try await socket.exchange("000000140202000000000000000000020000000000000000")
          == "00000018020200000000000100000000000000020000000000000000")
      #expect(
        try await socket.exchange(
          "0000002802070000000000000000000100000000000000000000000000000007000000640000000000001000")
          == "0000004d" + "02070000" + "00000000" + "0000000000000001" + "0000000000000000" + "0000000000000007"
          + "00000029" + Self.entry)
      #expect(
        try await socket.exchange("0000000702030000" + "0a0178")
          == "0000001a020300000a124175746844697361626c6564506c7567696e1200")
      // Another version: refused, and the connection goes on.
      #expect(
        try await socket.exchange("000000140302000000000000000000010000000000000000")
          == "00000018020200000000006700000000000000010000000000000000")
      #expect(
        try await socket.exchange("0000001c02028000000000000000002a00000000000000090000000000000000")
          == "0000002002028000000000000000002a0000000100000000000000090000000000000000")
      try await socket.close()
      try await bookie.shutdown()
    }
  }

  @Test("START_TLS without a certificate is a bad request, and the connection goes on")
  func noTLS() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let socket = try await RawSocket.connect(bookie.port)
      #expect(try await socket.exchange("0000000b0a06080310091801d20600") == "0000000a0a060803100918011064")
      #expect(
        try await socket.exchange("000000140202000000000000000000020000000000000000")
          == "00000018020200000000000100000000000000020000000000000000")
      // Other requests of v3 are not spoken here.
      try await socket.send("0000000b0a06080310011801a20600")
      try await socket.closed()
      try await bookie.shutdown()
    }
  }

  @Test("Scenario: an oversize frame, or garbage, closes that connection and no other")
  func garbage() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let good = try await RawSocket.connect(bookie.port)
      for bytes in ["7fffffff", "00000004020900ff", "0000000102", "00000006020100000000"] {
        let socket = try await RawSocket.connect(bookie.port)
        try await socket.send(bytes)
        try await socket.closed()
      }
      #expect(
        try await good.exchange("000000140202000000000000000000020000000000000000")
          == "00000018020200000000000100000000000000020000000000000000")
      try await good.close()
      try await bookie.shutdown()
    }
  }

  @Test("Scenario: half a frame, then the connection closes: nothing of it is stored, and others are served")
  func halfFrame() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let request = BookieHarness.add(7, 0, ByteBuffer(repeating: 1, count: 100), id: 1)
      var writer = BookieFrameWriter()
      var bytes = ByteBuffer()
      writer.append(request) { bytes.writeImmutableBuffer($0) }
      writer.finish { bytes.writeImmutableBuffer($0) }
      for count in [1, 4, 30, bytes.readableBytes - 1] {
        let socket = try await RawSocket.connect(bookie.port)
        try await socket.send(bytes.getSlice(at: bytes.readerIndex, length: count) ?? ByteBuffer())
        try await socket.close()
      }
      let client = try await LocalClient.connect(bookie)
      #expect(try await client.read(7, 0).code == .noLedger)
      let socket = try await RawSocket.connect(bookie.port)
      try await socket.send(bytes)
      _ = try await socket.nextFrame()
      #expect(try await client.read(7, 0).code == .ok)
      try await socket.close()
      try await bookie.shutdown()
    }
  }

  @Test("Pipelined adds are all acknowledged, in few syncs, and readable")
  func pipelined() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let socket = try await RawSocket.connect(bookie.port)
      var writer = BookieFrameWriter()
      var bytes = ByteBuffer()
      for entry in Int64(0)..<5000 {
        let request = BookieHarness.add(3, entry, ByteBuffer(repeating: 1, count: 100), id: UInt64(entry))
        writer.append(request) { bytes.writeImmutableBuffer($0) }
      }
      writer.finish { bytes.writeImmutableBuffer($0) }
      try await socket.send(bytes)
      var acknowledged: Set<Int64> = []
      while acknowledged.count < 5000 {
        let frame = try await socket.nextFrame()
        guard case .add(let add) = try BookieResponse(decoding: frame) else { continue }
        #expect(add.code == .ok)
        acknowledged.insert(add.entryID)
      }
      #expect(bookie.statistics().journalSyncs < 500)
      let client = try await LocalClient.connect(bookie)
      #expect(try await client.batchRead(3, from: 0, count: 0).entries.count == 5000)
      try await socket.close()
      try await bookie.shutdown()
    }
  }
}

/// A TCP client that sends bytes and collects frames.
final class RawSocket: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  private var reader = BookieFrameReader()
  private let frames: AsyncThrowingStream<ByteBuffer, any Error>
  private let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation
  private var iterator: AsyncThrowingStream<ByteBuffer, any Error>.AsyncIterator
  private var channel: (any Channel)?

  private init() {
    (frames, continuation) = AsyncThrowingStream.makeStream()
    iterator = frames.makeAsyncIterator()
  }

  static func connect(_ port: Int) async throws -> RawSocket {
    let socket = RawSocket()
    socket.channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(socket) }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return socket
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    reader.append(unwrapInboundIn(data))
    do {
      while let frame = try reader.nextFrame() { continuation.yield(frame) }
    } catch {
      continuation.finish(throwing: error)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    continuation.finish()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func send(_ bytes: ByteBuffer) async throws {
    try await channel?.writeAndFlush(bytes).get()
  }

  func send(_ text: String) async throws {
    let digits = Array(text.utf8)
    let bytes = stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) ?? 0
    }
    try await send(ByteBuffer(bytes: bytes))
  }

  func nextFrame() async throws -> ByteBuffer {
    guard let frame = try await iterator.next() else { throw BookieError.closed }
    return frame
  }

  /// Sends a frame and returns the next one, both with their length, in hexadecimal.
  func exchange(_ text: String) async throws -> String {
    try await send(text)
    let frame = try await nextFrame()
    var whole = ByteBuffer(integer: UInt32(frame.readableBytes))
    whole.writeImmutableBuffer(frame)
    return whole.readableBytesView.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// Everything from here on is TLS.
  func encrypt(_ tls: TLSContext) async throws {
    guard let channel else { return }
    try await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.addHandler(TLSHandler(context: tls, serverHostname: nil), position: .first)
    }.get()
  }

  /// Waits until the peer closes.
  func closed() async throws {
    try await channel?.closeFuture.get()
  }

  func close() async throws {
    try await channel?.close().get()
  }
}
