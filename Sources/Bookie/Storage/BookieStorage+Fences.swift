import BookieWire
import NIOCore

extension BookieStorage {
  /// Answers a read or a batch read: at once if it can be answered from memory, from a thread otherwise. A fencing one is
  /// answered only when the fence is durable, whatever the answer is.
  func read(_ request: BookieRequest, from target: any ReplyTarget) {
    let fence: (ledgerID: Int64, key: LedgerMasterKey?)?
    let isUrgent: Bool
    switch request {
    case .read(let read):
      fence = read.flags.contains(.fencing) ? (read.ledgerID, read.masterKey) : nil
      isUrgent = fence != nil || read.flags.contains(.highPriority)
    case .batchRead(let read):
      fence = read.flags.contains(.fencing) ? (read.ledgerID, read.masterKey) : nil
      isUrgent = fence != nil || read.flags.contains(.highPriority)
    case .add, .auth: return
    }
    guard let fence else { return readNow(request, target, isUrgent) }
    guard let key = fence.key, fence.ledgerID >= 0 else {
      return refuse(request, fence.key == nil ? .unauthorized : .badRequest, target)
    }
    switch journalFence(fence.ledgerID, key, request, target) {
    case .durable: readNow(request, target, isUrgent)
    case .unauthorized: refuse(request, .unauthorized, target)
    case .journal, .wait: break
    }
  }

  private func journalFence(
    _ ledgerID: Int64, _ key: LedgerMasterKey, _ request: BookieRequest, _ target: any ReplyTarget
  ) -> LedgerFenceTable.FenceDecision {
    // The disk is read elsewhere: these run on the journal's thread.
    let journaled: @Sendable (Bool) -> Void = { [self] isDurable in
      state.withLockedValue { state in
        if isDurable { state.table.fenceSynced(ledgerID) } else { state.table.fenceFailed(ledgerID) }
      }
      if isDurable { submit(request, target, isUrgent: true) } else { refuse(request, .ioError, target) }
    }
    let waited: @Sendable (Bool) -> Void = { [self] _ in
      let isDurable = state.withLockedValue { $0.table[ledgerID].map { $0.fence == .durable || $0.isDeleted } ?? true }
      if isDurable { submit(request, target, isUrgent: true) } else { refuse(request, .ioError, target) }
    }
    return state.withLockedValue { state in
      let decision = state.table.fence(ledgerID, key: key)
      let journal = journals[journal(of: ledgerID)]
      switch decision {
      case .journal:
        var segment = EntrySegment(capacity: 64)
        segment.append(.fence, ledgerID: ledgerID, key: key)
        state.statistics.fences += 1
        journal.append(
          JournalAppend(segment: segment, entries: 0, at: environment.now(), completion: .call(journaled)))
      case .wait:
        journal.append(JournalAppend(segment: nil, entries: 0, at: environment.now(), completion: .call(waited)))
      case .durable, .unauthorized: break
      }
      return decision
    }
  }

  private func readNow(_ request: BookieRequest, _ target: any ReplyTarget, _ isUrgent: Bool) {
    if let response = answer(request, .none) {
      target.deliver([.responses([response])])
    } else {
      submit(request, target, isUrgent: isUrgent)
    }
  }

  private func submit(_ request: BookieRequest, _ target: any ReplyTarget, isUrgent: Bool) {
    guard let readers, readers.submit(request, target, isUrgent: isUrgent) else {
      return refuse(request, .tooManyRequests, target)
    }
  }

  private func refuse(_ request: BookieRequest, _ code: BookieReturnCode, _ target: any ReplyTarget) {
    if let response = request.failure(code) { target.deliver([.responses([response])]) }
  }
}
