import Logging
import NIOCore

extension TopicLog {
  /// Deletes the ledgers that every cursor has passed and that retention gives up: closed ones only, from the front,
  /// and none that a cursor would need after a crash.
  public func trim() async throws {
    try await executor.run {
      try requireOpen()
      checkRollover()
      try await trimRounds?.request()
    }
  }

  /// Trims in the background if there is something to trim.
  func trimSoon() {
    guard endReason == nil, !isClosing, !trimmable().isEmpty else { return }
    executor.start {
      do {
        try await self.trimRounds?.request()
      } catch {
        self.logger.warning("cannot trim yet", metadata: ["topic": "\(self.name)", "error": "\(error)"])
      }
    }
  }

  private func trimmable() -> [Int64] {
    guard trimHolds == 0 else { return [] }
    var acknowledged = Position.latest
    for cursor in cursors.values { acknowledged = min(acknowledged, cursor.safeMarkDelete) }
    return chain.trimmable(
      acknowledged: acknowledged, floor: trimFloor, retention: configuration.retention, nowMs: wallClockMs())
  }

  /// One round of trimming.
  func trimNow() async throws {
    guard endReason == nil, !isClosing else { return }
    let ids = trimmable()
    if !ids.isEmpty {
      chain.trim(ids)
      condemned.formUnion(ids)
      coldReads.forget(ids)
      if let first = chain.firstPosition {
        cacheBudget.release(cache.evict(before: first))
      } else {
        cacheBudget.release(cache.evictAll())
      }
      // The record lets go of them before they vanish.
      try await writeRecord()
    }
    await deleteCondemned()
  }

  /// Deletes ledgers that left the log. Those that cannot be deleted now stay in the record and are tried again.
  func deleteCondemned() async {
    for id in condemned.sorted() {
      do {
        try await provider.delete(id)
        condemned.remove(id)
      } catch {
        logger.warning("cannot delete a ledger yet", metadata: ["ledger": "\(id)", "error": "\(error)"])
      }
    }
  }

  /// The writer of a ledger that may not be closed yet.
  func liveWriter(_ id: Int64) -> SegmentWriter? {
    if let writer, writer.id == id { return writer }
    return retiring[id]
  }
}
