extension TopicLog {
  /// What Pulsar's `internalStats` shows.
  public var internalStats: TopicLogStats {
    eventLoop.assertInEventLoop()
    let current = writer.flatMap { chain.segment($0.id) }
    return TopicLogStats(
      entriesAddedCounter: entriesAdded, numberOfEntries: chain.totalEntries, totalSize: chain.totalSize,
      currentLedgerEntries: current?.entries ?? 0, currentLedgerSize: current?.size ?? 0,
      lastLedgerCreatedTimestampMs: lastLedgerCreatedMs, lastLedgerCreationFailureTimestampMs: lastLedgerFailureMs,
      pendingAddEntriesCount: pipeline.queued, lastConfirmedEntry: chain.lastConfirmed, state: stateName,
      ledgers: chain.segments.map {
        .init(ledgerID: $0.ledgerID, entries: $0.entries, size: $0.size, closedAtMs: $0.closedAtMs)
      }, cursors: cursors.mapValues(\.stats), properties: properties, cachedBytes: cache.bytes + coldReads.bytes,
      cacheHits: cacheHits, cacheMisses: cacheMisses)
  }

  private var stateName: String {
    switch endReason {
    case .fenced?, .appendUndecided?: return "Fenced"
    case .some: return "Closed"
    case nil: break
    }
    if terminatedAt != nil { return "Terminated" }
    switch pipeline.phase {
    case .idle: return "ClosedLedger"
    case .opening: return "CreatingLedger"
    case .writing: return "LedgerOpened"
    case .draining, .replacing: return "ClosingLedger"
    case .stopped: return "Closed"
    }
  }
}
