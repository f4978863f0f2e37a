import BookieWire
import NIOConcurrencyHelpers
import NIOCore

/// A client in the same process. Confined to its loop, except for `deliver`.
final class InProcessConnection: LocalBookieConnection, ReplyTarget, @unchecked Sendable {
  let wantsEncodedReceipts = false
  private let eventLoop: any EventLoop
  private var session: BookieSession
  private var onResponses: (([BookieResponse]) -> Void)?
  private var onClose: (() -> Void)?

  init(
    storage: BookieStorage, eventLoop: any EventLoop, onResponses: @escaping ([BookieResponse]) -> Void,
    onClose: @escaping () -> Void
  ) {
    self.eventLoop = eventLoop
    self.onResponses = onResponses
    self.onClose = onClose
    session = BookieSession(storage: storage)
  }

  func submit(_ requests: [BookieRequest]) {
    eventLoop.assertInEventLoop()
    var capacity = 0
    for request in requests {
      guard case .add(let add) = request else { continue }
      capacity += 8 + min(add.entry.count, EntrySegment.gatherLimit)
    }
    var responses: [BookieResponse] = []
    for request in requests {
      if let response = session.receive(request, from: self, capacity: capacity) { responses.append(response) }
    }
    // A batch that waits stays bounded by what the storage lets wait.
    session.flush(to: self)
    if !responses.isEmpty { deliver([.responses(responses)]) }
  }

  func close() {
    eventLoop.assertInEventLoop()
    onResponses = nil
    onClose = nil
  }

  func deliver(_ replies: [BookieReply]) {
    eventLoop.execute {
      for reply in replies {
        switch reply {
        case .responses(let responses): self.onResponses?(responses)
        case .resume: self.session.resume()
        case .encoded: break
        }
      }
    }
  }

  /// The bookie stops. Any thread.
  func shutDown() {
    eventLoop.execute {
      let onClose = self.onClose
      self.onResponses = nil
      self.onClose = nil
      onClose?()
    }
  }
}

/// The connections that must be told when the bookie stops; those that are gone are forgotten.
final class InProcessConnections: Sendable {
  private struct Entry {
    weak var connection: InProcessConnection?
  }

  private let entries = NIOLockedValueBox<(list: [Entry], isClosed: Bool)>(([], false))

  func add(_ connection: InProcessConnection) {
    let isClosed = entries.withLockedValue { entries in
      entries.list.removeAll { $0.connection == nil }
      if !entries.isClosed { entries.list.append(Entry(connection: connection)) }
      return entries.isClosed
    }
    if isClosed { connection.shutDown() }
  }

  func shutDown() {
    let open = entries.withLockedValue { entries in
      entries.isClosed = true
      defer { entries.list = [] }
      return entries.list.compactMap(\.connection)
    }
    open.forEach { $0.shutDown() }
  }
}
