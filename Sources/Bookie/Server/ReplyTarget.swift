import BookieWire
import NIOCore

/// Something to send back to a client.
enum BookieReply: Sendable {
  /// Whole frames, ready for the socket.
  case encoded(ByteBuffer)
  /// Answers that are still to be encoded, or are handed over as they are within the process.
  case responses([BookieResponse])
  /// Adds that had to wait for room have been accepted: the connection may read again.
  case resume
}

/// A client's connection, as seen from the storage's threads.
protocol ReplyTarget: AnyObject, Sendable {
  /// Whether receipts are wanted as encoded frames (a socket) or as values.
  var wantsEncodedReceipts: Bool { get }

  /// Sends answers. Called on any thread; hops to the connection's loop once.
  func deliver(_ replies: [BookieReply])
}

/// The receipts of a batch of adds, encoded where the batch is accepted so that nothing is left to do after the sync.
struct AddReceipts {
  private var encoded: ByteBuffer?
  private var responses: [BookieResponse] = []
  private(set) var count = 0

  init(isEncoded: Bool, capacity: Int) {
    if isEncoded {
      encoded = ByteBufferAllocator().buffer(capacity: capacity * 36)
    } else {
      responses.reserveCapacity(capacity)
    }
  }

  mutating func append(_ response: AddResponse) {
    count += 1
    if encoded == nil {
      responses.append(.add(response))
    } else {
      BookieResponse.writeAdd(response, into: &encoded!)
    }
  }

  var reply: BookieReply { encoded.map { .encoded($0) } ?? .responses(responses) }
}
