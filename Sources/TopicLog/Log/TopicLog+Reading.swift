import NIOCore

extension TopicLog {
  /// Reads entries from `from` (inclusive) on, over ledger borders and gaps: at least one if any exists there, at most
  /// `maxEntries`, and no more than fit `maxBytes` beyond the first. `[]` when at the end.
  ///
  /// `completion` is called on the loop, never before this method has returned.
  public func read(
    from: Position, maxEntries: Int, maxBytes: Int,
    completion: @escaping (Result<[LogEntry], TopicLogError>) -> Void
  ) {
    read(from: from, maxEntries: maxEntries, maxBytes: maxBytes, readAhead: maxEntries > 1, completion: completion)
  }

  func read(
    from: Position, maxEntries: Int, maxBytes: Int, readAhead: Bool,
    completion: @escaping (Result<[LogEntry], TopicLogError>) -> Void
  ) {
    eventLoop.assertInEventLoop()
    if let endReason {
      return later { completion(.failure(endReason)) }
    }
    guard let start = chain.first(atOrAfter: from), let segment = chain.segment(start.ledgerID) else {
      return later { completion(.success([])) }
    }
    let cached = cache.read(from: start, maxEntries: maxEntries, maxBytes: maxBytes)
    if !cached.isEmpty {
      cacheHits += 1
      return later { completion(.success(cached)) }
    }
    cacheMisses += 1
    coldReads.read(
      from: start, entries: segment.entries, maxEntries: max(1, maxEntries), maxBytes: max(0, maxBytes),
      readAhead: readAhead
    ) { result in
      switch result {
      case .success(let entries): self.later { completion(.success(entries)) }
      case .failure(let error):
        if self.chain.contains(start) {
          self.later { completion(.failure(.readFailed(topic: self.name, reason: "\(error)"))) }
        } else {
          // Trimmed meanwhile: go on with what is left.
          self.read(
            from: start, maxEntries: maxEntries, maxBytes: maxBytes, readAhead: readAhead, completion: completion)
        }
      }
    }
  }

  private func later(_ call: @escaping () -> Void) {
    eventLoop.assumeIsolated().execute(call)
  }

  /// Reads one entry that exists.
  func readEntry(_ position: Position) async throws -> LogEntry? {
    try await withCheckedThrowingContinuation { continuation in
      read(from: position, maxEntries: 1, maxBytes: .max, readAhead: false) { result in
        continuation.resume(with: result.map(\.first).mapError { $0 as any Error })
      }
    }
  }

  /// The first entry for which `predicate` is false, by binary search; nil if there is none.
  ///
  /// `predicate` must be true for a prefix of the log and false behind it. It is called on the loop.
  public func findPosition(where predicate: @escaping @Sendable (LogEntry) -> Bool) async throws -> Position? {
    try await executor.run {
      try requireOpen()
      // Indexes count from the first entry: it must stay.
      trimHolds += 1
      defer { trimHolds -= 1 }
      var low: Int64 = 0
      var high = chain.totalEntries
      let end = high
      while low < high {
        let middle = low + (high - low) / 2
        guard let position = chain.position(atIndex: middle), let entry = try await readEntry(position) else {
          throw TopicLogError.readFailed(topic: name, reason: "entry number \(middle) vanished")
        }
        if predicate(entry) { low = middle + 1 } else { high = middle }
      }
      return low < end ? chain.position(atIndex: low) : nil
    }
  }

  // MARK: The cache

  func scheduleEviction() {
    guard !isEvictionScheduled else { return }
    isEvictionScheduled = true
    let interval = max(TimeAmount.milliseconds(20), TimeAmount(configuration.cacheEvictionTime / 4))
    eventLoop.scheduleTask(in: interval) { [weak self] in self?.evict() }
  }

  private func evict() {
    isEvictionScheduled = false
    let now = NIODeadline.now()
    let deadline = now - TimeAmount(configuration.cacheEvictionTime)
    var freed = cache.evict(olderThan: deadline)
    freed += cache.evict(before: slowestReader())
    cacheBudget.release(freed)
    coldReads.evict(unusedSince: deadline)
    if !cache.isEmpty || coldReads.holdsEntries { scheduleEviction() }
  }

  /// Every active cursor is at or behind this position.
  private func slowestReader() -> Position {
    var slowest = Position.latest
    for cursor in cursors.values where cursor.isActive {
      slowest = min(slowest, max(cursor.readPosition, cursor.markDelete))
    }
    return slowest
  }

  func dropCaches() {
    cacheBudget.release(cache.evictAll())
    coldReads.close()
  }
}
