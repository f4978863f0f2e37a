import NIOCore

/// Turns requests or responses into buffers to write: small pieces are gathered, large payloads go out as they are.
///
/// Append any number of messages, then `finish`; `emit` gets the buffers in order. A message's payload of `gatherLimit` bytes
/// or more is emitted as its own buffer and never copied.
public struct BookieFrameWriter {
  private let allocator: ByteBufferAllocator
  private let gatherLimit: Int
  private var gathered: ByteBuffer

  /// A writer. `gatherLimit`: payload pieces shorter than this are copied next to each other, which is cheaper than a
  /// buffer each.
  public init(allocator: ByteBufferAllocator = ByteBufferAllocator(), gatherLimit: Int = 4096) {
    self.allocator = allocator
    self.gatherLimit = gatherLimit
    gathered = ByteBuffer()
  }

  /// Appends a request.
  public mutating func append(_ request: BookieRequest, emit: (ByteBuffer) -> Void) {
    begin()
    request.writeHead(into: &gathered)
    guard case .add(let add) = request else { return }
    append(add.entry.head, emit)
    append(add.entry.body, emit)
    append(add.entry.tail, emit)
  }

  /// Appends a response.
  public mutating func append(_ response: BookieResponse, emit: (ByteBuffer) -> Void) {
    begin()
    response.writeHead(into: &gathered)
    switch response {
    case .read(let read):
      if read.code == .ok, let entry = read.entry { append(entry, emit) }
    case .batchRead(let read):
      let pieces = read.entries.reduce(0) { $0 + 4 + ($1.readableBytes < gatherLimit ? $1.readableBytes : 0) }
      gathered.reserveCapacity(minimumWritableBytes: pieces)
      for entry in read.entries {
        begin()
        gathered.writeInteger(UInt32(entry.readableBytes))
        append(entry, emit)
      }
    case .add, .auth: break
    }
  }

  /// Emits what is gathered. The writer can be used again.
  public mutating func finish(emit: (ByteBuffer) -> Void) {
    guard gathered.readableBytes > 0 else { return }
    emit(gathered)
    gathered = ByteBuffer()
  }

  private mutating func begin() {
    if gathered.capacity == 0 { gathered = allocator.buffer(capacity: 1024) }
  }

  private mutating func append(_ piece: ByteBuffer, _ emit: (ByteBuffer) -> Void) {
    guard piece.readableBytes > 0 else { return }
    if piece.readableBytes < gatherLimit {
      gathered.writeImmutableBuffer(piece)
    } else {
      finish(emit: emit)
      emit(piece)
      begin()
    }
  }
}
