import NIOCore

/// The metadata that a handle reads by. Repairs name other bookies in a ledger's segments while handles of it are open: a read
/// that failed looks once whether that is why. Confined to the loop.
final class ReadMetadata: @unchecked Sendable {
  let id: LedgerID
  private(set) var metadata: LedgerMetadata

  private let store: LedgerMetadataStore
  private let eventLoop: any EventLoop
  private var generation: UInt64 = 0
  private var nextLook = NIODeadline.uptimeNanoseconds(0)
  private var waiting: [(Bool) -> Void] = []

  /// The shortest time between two looks.
  private static let pause = TimeAmount.seconds(1)

  init(id: LedgerID, _ metadata: LedgerMetadata, store: LedgerMetadataStore, eventLoop: any EventLoop) {
    self.id = id
    self.metadata = metadata
    self.store = store
    self.eventLoop = eventLoop
  }

  /// The ledger's writer has changed them.
  func replace(_ new: LedgerMetadata) {
    generation += 1
    metadata = new
  }

  /// Whether the error may be one of old metadata.
  static func mayExplain(_ error: LedgerError) -> Bool {
    switch error {
    case .noSuchEntry, .dataUnavailable: true
    default: false
    }
  }

  /// Reads the metadata again, unless that was done a moment ago. Tells whether other bookies are named than before.
  func look(_ answer: @escaping (Bool) -> Void) {
    eventLoop.assertInEventLoop()
    guard waiting.isEmpty else { return waiting.append(answer) }
    guard nextLook <= .now() else { return answer(false) }
    nextLook = .now() + Self.pause
    waiting.append(answer)
    let asked = generation
    Task { [self] in
      let found = try? await store.read(id).metadata
      eventLoop.execute { self.found(found, asked) }
    }
  }

  private func found(_ new: LedgerMetadata?, _ asked: UInt64) {
    let isNew = new.map { asked == generation && $0.segments != metadata.segments } ?? (asked != generation)
    if asked == generation, let new { metadata.segments = new.segments }
    let callers = waiting
    waiting = []
    for caller in callers { caller(isNew) }
  }
}
