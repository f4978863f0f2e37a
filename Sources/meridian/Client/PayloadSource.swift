import NIOCore

/// Where the payloads of `produce` come from.
struct PayloadSource {
  private enum Kind {
    case list([ByteBuffer])
    case generated(ByteBuffer)
    case lines(LineReader)
    case whole(LineReader)
  }

  private let kind: Kind
  private var produced = 0
  /// How many there will be, if that is known.
  let total: Int?

  init(_ command: ProduceCommand) throws {
    if !command.messages.isEmpty {
      kind = .list(command.messages.map { ByteBuffer(string: $0) })
      total = command.messages.count * (command.count ?? 1)
    } else if command.file == nil, !command.whole, let count = command.count {
      kind = .generated(Self.payload(bytes: command.size.bytes))
      total = count
    } else {
      let reader = try LineReader(path: command.file)
      kind = command.whole ? .whole(reader) : .lines(reader)
      total = command.whole ? 1 : command.count
    }
  }

  /// Printable, and about as compressible as text.
  static func payload(bytes: Int) -> ByteBuffer {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    var buffer = ByteBufferAllocator().buffer(capacity: bytes)
    for _ in 0..<bytes {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      buffer.writeInteger(UInt8(ascii: "a") + UInt8((state >> 33) % 26))
    }
    return buffer
  }

  mutating func next(_ interrupt: Interrupt) async throws -> ByteBuffer? {
    if let total, produced >= total { return nil }
    defer { produced += 1 }
    switch kind {
    case .list(let payloads): return payloads[produced % payloads.count]
    case .generated(let payload): return payload
    case .lines(let reader): return try await reader.next(interrupt)
    case .whole(let reader): return try await reader.rest(interrupt)
    }
  }
}
