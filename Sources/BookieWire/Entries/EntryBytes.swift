import NIOCore

/// The bytes of one entry as the bookie stores and returns them
/// (`ledgerId 8 | entryId 8 | LAC 8 | length 8 | digest | payload`), in up to three pieces that are never copied together.
///
/// A writer has the entry's header in `head` and the payload in `body` and `tail`; a decoder has it whole in `head`.
public struct EntryBytes: Hashable, Sendable {
  /// The first piece; at least the entry's header and digest.
  public var head: ByteBuffer
  /// The second piece; may be empty.
  public var body: ByteBuffer
  /// The third piece; may be empty.
  public var tail: ByteBuffer

  /// An entry in one to three pieces.
  public init(head: ByteBuffer, body: ByteBuffer = ByteBuffer(), tail: ByteBuffer = ByteBuffer()) {
    self.head = head
    self.body = body
    self.tail = tail
  }

  /// Number of bytes in all pieces.
  public var count: Int { head.readableBytes + body.readableBytes + tail.readableBytes }

  /// Calls `visit` with every piece that is not empty, in order.
  @inlinable
  public func forEachPiece(_ visit: (ByteBuffer) -> Void) {
    if head.readableBytes > 0 { visit(head) }
    if body.readableBytes > 0 { visit(body) }
    if tail.readableBytes > 0 { visit(tail) }
  }

  /// Copies all pieces to the end of `buffer`.
  @inlinable
  public func copy(into buffer: inout ByteBuffer) {
    buffer.writeImmutableBuffer(head)
    if body.readableBytes > 0 { buffer.writeImmutableBuffer(body) }
    if tail.readableBytes > 0 { buffer.writeImmutableBuffer(tail) }
  }

  /// The entry in one buffer: the piece itself if there is only one, a copy otherwise.
  public func joined() -> ByteBuffer {
    if body.readableBytes == 0 && tail.readableBytes == 0 { return head }
    var whole = ByteBufferAllocator().buffer(capacity: count)
    copy(into: &whole)
    return whole
  }
}
