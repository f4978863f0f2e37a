import NIOConcurrencyHelpers
import NIOCore

/// A file read once from a place to its end, in large pieces, of which the next ones are read while one is being worked on.
///
/// Used by one thread, which `next` may block; the reading is done by threads of its own, or by the caller where there are none.
final class FileReadAhead {
  /// Bytes of the file.
  struct Piece {
    /// The bytes, with free space in front of them for what the piece before left over.
    var bytes: ByteBuffer
    /// Where the first of them is in the file.
    var offset: Int
  }

  private typealias Result = Swift.Result<ByteBuffer, BookieError>

  /// A piece on its way.
  private final class Slot: Sendable {
    let result = NIOLockedValueBox<Result?>(nil)
    let isDone = ConditionLock<Bool>(value: false)

    func fill(_ value: Result) {
      result.withLockedValue { $0 = value }
      isDone.lock()
      isDone.unlock(withValue: true)
    }

    /// Takes the result: what it holds is written to afterwards, and must not be shared.
    func take() -> Result? {
      isDone.lock(whenValue: true)
      isDone.unlock()
      return result.withLockedValue { result in
        defer { result = nil }
        return result
      }
    }
  }

  private struct Order: Sendable {
    var slot: Slot
    var offset: Int
    var count: Int
  }

  /// Space in front of each piece.
  static let headroom = 2 * 1024 * 1024
  private static let alignment = 4096

  private let file: any StorageFile
  private let pieceSize: Int
  private let end: Int
  private var ordered: Int
  private var slots: CircularBuffer<(slot: Slot, offset: Int)> = []
  private let orders = Mailbox<Order>()
  private var threads: [WorkerThread] = []
  private let depth: Int

  /// - Parameters:
  ///   - start: where to begin: a multiple of 4096.
  ///   - end: the file's size.
  ///   - pieceSize: bytes of a piece: a multiple of 4096.
  ///   - depth: how many pieces are read at a time; 0: none ahead, by the caller.
  init(_ file: any StorageFile, from start: Int, to end: Int, pieceSize: Int = 4 * 1024 * 1024, depth: Int) {
    self.file = file
    self.end = end
    self.pieceSize = pieceSize
    self.depth = depth
    ordered = start
    let orders = orders
    threads = (0..<max(0, min(depth, (end - start) / pieceSize))).map { _ in
      WorkerThread(name: "bookie-replay") {
        while true {
          orders.wait(until: nil)
          guard let taken = orders.take(limit: 1) else { return }
          for order in taken { order.slot.fill(Self.read(file, order.offset, order.count)) }
        }
      }
    }
  }

  /// Waits for what is being read.
  deinit {
    orders.close()
    for thread in threads { thread.join() }
  }

  /// The next piece; nil at the end.
  func next() throws(BookieError) -> Piece? {
    guard !threads.isEmpty else {
      guard ordered < end else { return nil }
      let (offset, count) = (ordered, min(pieceSize, end - ordered))
      ordered += count
      return Piece(bytes: try Self.read(file, offset, count).get(), offset: offset)
    }
    while slots.count <= depth, ordered < end {
      let count = min(pieceSize, end - ordered)
      let slot = Slot()
      slots.append((slot, ordered))
      orders.push(Order(slot: slot, offset: ordered, count: count))
      ordered += count
    }
    guard let (slot, offset) = slots.popFirst(), let result = slot.take() else { return nil }
    return Piece(bytes: try result.get(), offset: offset)
  }

  private static func read(_ file: any StorageFile, _ offset: Int, _ count: Int) -> Result {
    // Direct I/O wants such an address and such a length, also at the end of the file.
    let whole = (count + alignment - 1) / alignment * alignment
    var buffer = ByteBufferAllocator().buffer(capacity: headroom + alignment + whole)
    var failure: BookieError?
    var start = 0
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: headroom + alignment + whole) { target in
      start = headroom + (alignment - Int(bitPattern: target.baseAddress) % alignment) % alignment
      let place = UnsafeMutableRawBufferPointer(rebasing: target[start..<start + whole])
      do throws(BookieError) {
        return start + (try file.read(into: place, at: offset))
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { return .failure(failure) }
    buffer.moveReaderIndex(to: start)
    return .success(buffer)
  }
}

extension ByteBuffer {
  /// Puts bytes in front of the readable ones; in place if there is room for them and nobody shares this buffer.
  mutating func prepend(_ bytes: ByteBuffer) {
    guard bytes.readableBytes > 0 else { return }
    let start = readerIndex - bytes.readableBytes
    if start >= 0 {
      setBuffer(bytes, at: start)
      moveReaderIndex(to: start)
    } else {
      var joined = ByteBufferAllocator().buffer(capacity: bytes.readableBytes + readableBytes)
      joined.writeImmutableBuffer(bytes)
      joined.writeImmutableBuffer(self)
      self = joined
    }
  }
}
