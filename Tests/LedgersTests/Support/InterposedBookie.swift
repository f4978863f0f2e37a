import BookieWire
import NIOConcurrencyHelpers
import NIOCore

/// A real bookie with faults between it and in-process clients.
final class InterposedBookie: BookieService {
  struct Faults {
    /// Takes requests and never answers.
    var isSilent = false
    /// Answers come so much later.
    var delay = TimeAmount.zero
    /// What reads of these entries are answered instead.
    var readCodes: [Int64: BookieReturnCode] = [:]
    /// The payloads of these entries have a flipped bit.
    var flipped: Set<Int64> = []
    /// What adds (other than recovery's and repairs') are answered instead.
    var addCode: BookieReturnCode?
  }

  let bookie: any BookieService
  private let state = NIOLockedValueBox((faults: Faults(), reads: 0, recoveryAdds: 0))

  init(_ bookie: any BookieService) { self.bookie = bookie }

  var bookieID: String { bookie.bookieID }

  /// Reads that arrived, each entry of a batch counted as one request.
  var reads: Int { state.withLockedValue { $0.reads } }

  func set(_ change: (inout Faults) -> Void) { state.withLockedValue { change(&$0.faults) } }

  func connect(
    on eventLoop: any EventLoop, onResponses: @escaping ([BookieResponse]) -> Void, onClose: @escaping () -> Void
  ) -> any LocalBookieConnection {
    Connection(self, eventLoop, onResponses, onClose)
  }

  /// A repaired entry is a good one again.
  fileprivate func note(_ request: BookieRequest) -> Faults {
    state.withLockedValue { state in
      switch request {
      case .read, .batchRead: state.reads += 1
      case .add(let add) where add.flags.contains(.recoveryAdd):
        state.faults.readCodes[add.entryID] = nil
        state.faults.flipped.remove(add.entryID)
      default: break
      }
      return state.faults
    }
  }

  fileprivate var faults: Faults { state.withLockedValue { $0.faults } }

  private final class Connection: LocalBookieConnection {
    private let owner: InterposedBookie
    private let eventLoop: any EventLoop
    private let onResponses: ([BookieResponse]) -> Void
    private var below: (any LocalBookieConnection)?
    private var isClosed = false

    init(
      _ owner: InterposedBookie, _ eventLoop: any EventLoop, _ onResponses: @escaping ([BookieResponse]) -> Void,
      _ onClose: @escaping () -> Void
    ) {
      self.owner = owner
      self.eventLoop = eventLoop
      self.onResponses = onResponses
      below = owner.bookie.connect(
        on: eventLoop, onResponses: { [weak self] in self?.answered($0) }, onClose: onClose)
    }

    func submit(_ requests: [BookieRequest]) {
      var passed: [BookieRequest] = []
      for request in requests {
        let faults = owner.note(request)
        if faults.isSilent { continue }
        if case .add(let add) = request, let code = faults.addCode, !add.flags.contains(.recoveryAdd) {
          let answer = BookieResponse.add(
            AddResponse(requestID: add.requestID, code: code, ledgerID: add.ledgerID, entryID: add.entryID))
          let loop = NIOLoopBound(self, eventLoop: eventLoop)
          eventLoop.execute { loop.value.deliver([answer]) }
          continue
        }
        passed.append(request)
      }
      if !passed.isEmpty { below?.submit(passed) }
    }

    func close() {
      isClosed = true
      below?.close()
    }

    private func answered(_ responses: [BookieResponse]) {
      let faults = owner.faults
      if faults.isSilent { return }
      let changed = responses.map { distort($0, faults) }
      guard faults.delay > .zero else { return deliver(changed) }
      let loop = NIOLoopBound(self, eventLoop: eventLoop)
      eventLoop.scheduleTask(in: faults.delay) { loop.value.deliver(changed) }
    }

    private func deliver(_ responses: [BookieResponse]) {
      if !isClosed { onResponses(responses) }
    }

    private func distort(_ response: BookieResponse, _ faults: Faults) -> BookieResponse {
      switch response {
      case .read(var read):
        if let code = faults.readCodes[read.entryID] {
          read.code = code
          read.entry = nil
        } else if faults.flipped.contains(read.entryID), var entry = read.entry {
          flip(&entry)
          read.entry = entry
        }
        return .read(read)
      case .batchRead(var read):
        for (index, entry) in read.entries.enumerated() {
          let id = read.startEntryID + Int64(index)
          if let code = faults.readCodes[id] {
            read.entries.removeSubrange(index...)
            if index == 0 { read.code = code }
            break
          }
          if faults.flipped.contains(id) {
            var bad = entry
            flip(&bad)
            read.entries[index] = bad
          }
        }
        return .batchRead(read)
      case .add, .auth: return response
      }
    }

    private func flip(_ entry: inout ByteBuffer) {
      let last = entry.writerIndex - 1
      if let byte = entry.getInteger(at: last, as: UInt8.self) { entry.setInteger(byte ^ 1, at: last) }
    }
  }
}
