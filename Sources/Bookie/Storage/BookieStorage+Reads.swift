import BookieWire
import NIOCore

extension BookieStorage {
  /// Where an entry was found.
  private enum Lookup {
    case found(ByteBuffer)
    /// There is no such entry, or nothing may be said.
    case missing(BookieReturnCode)
    /// Only an entry log can tell.
    case onDisk(entryID: Int64)
  }

  /// How an answer may ask the disk.
  enum DiskUse {
    /// Not at all: on an event loop.
    case none
    /// Giving way to adds.
    case paced
    /// At once: for fencing and recovery.
    case urgent
  }

  /// The answer to a read or batch read; nil if a disk must be asked and may not.
  func answer(_ request: BookieRequest, _ disk: DiskUse) -> BookieResponse? {
    switch request {
    case .read(let read):
      guard let result = entry(read.ledgerID, read.entryID, disk) else { return nil }
      var bytes: Int64 = 0
      if case .success(let entry) = result { bytes = Int64(entry.readableBytes) }
      count(1, bytes: bytes)
      var response = ReadResponse(
        requestID: read.requestID, code: .ok, ledgerID: read.ledgerID, entryID: read.entryID)
      switch result {
      case .success(let entry): response.entry = entry
      case .failure(let refusal): response.code = refusal.code
      }
      return .read(response)
    case .batchRead(let read):
      return batch(read, disk)
    case .add, .auth: return nil
    }
  }

  private struct Refusal: Error {
    var code: BookieReturnCode
  }

  /// A prefix of the entries asked for, within the limits; the first one always, if it can be read.
  private func batch(_ read: BatchReadRequest, _ disk: DiskUse) -> BookieResponse? {
    let limit = Int64(configuration.maximumBatchReadSize)
    let maxSize = read.maxSize <= 0 ? limit : min(read.maxSize, limit)
    let maxCount = read.maxCount <= 0 ? Int.max : Int(read.maxCount)
    var response = BatchReadResponse(
      requestID: read.requestID, code: .ok, ledgerID: read.ledgerID, startEntryID: read.startEntryID)
    guard read.startEntryID >= 0 else {
      response.code = .badRequest
      return .batchRead(response)
    }
    var size: Int64 = 36
    var bytes: Int64 = 0
    while response.entries.count < maxCount {
      let (entryID, overflow) = read.startEntryID.addingReportingOverflow(Int64(response.entries.count))
      guard !overflow else { break }
      let found: [ByteBuffer]
      switch entries(
        read.ledgerID, entryID, atMost: maxCount - response.entries.count, bytes: maxSize - size, disk)
      {
      case nil: return nil
      case .failure(let refusal):
        if response.entries.isEmpty { response.code = refusal.code }
        found = []
      case .success(let entries): found = entries
      }
      guard !found.isEmpty else { break }
      var isFull = false
      for entry in found {
        size += 4 + Int64(entry.readableBytes)
        isFull = size > maxSize && !response.entries.isEmpty
        if isFull { break }
        bytes += Int64(entry.readableBytes)
        response.entries.append(entry)
      }
      if isFull { break }
    }
    count(max(1, response.entries.count), bytes: bytes)
    return .batchRead(response)
  }

  private func count(_ entries: Int, bytes: Int64) {
    state.withLockedValue { state in
      state.statistics.reads += Int64(entries)
      state.statistics.readBytes += bytes
    }
  }

  /// Entries that follow each other, at least one: as many as are in the same place in memory, and the one asked for from
  /// wherever it is. Nil if that needs the disk, which may not be asked.
  private func entries(
    _ ledgerID: Int64, _ entryID: Int64, atMost count: Int, bytes: Int64, _ disk: DiskUse
  ) -> Result<[ByteBuffer], Refusal>? {
    let known = readCache.entries(ledgerID: ledgerID, from: entryID, atMost: count, bytes: bytes)
    if !known.isEmpty {
      // The table has the last word: it may have been deleted, or written anew, since it was read.
      let isCurrent = state.withLockedValue { state in
        guard let ledger = state.table[ledgerID], !ledger.isDeleted, !state.cache.contains(ledgerID: ledgerID) else {
          return false
        }
        state.statistics.readCacheHits += Int64(known.count)
        return true
      }
      if isCurrent { return .success(known) }
    }
    return entry(ledgerID, entryID, disk)?.map { [$0] }
  }

  /// One entry; nil if that needs the disk, which may not be asked.
  private func entry(_ ledgerID: Int64, _ entryID: Int64, _ disk: DiskUse) -> Result<ByteBuffer, Refusal>? {
    switch lookUp(ledgerID, entryID) {
    case .found(let entry): return .success(entry)
    case .missing(let code): return .failure(Refusal(code: code))
    case .onDisk(let entryID):
      guard disk != .none else { return nil }
      do {
        if let entry = try load(ledgerID, entryID, disk) { return .success(entry) }
        // The ledger may have been deleted, or the entry replaced in the cache, while the disk was read.
        switch lookUp(ledgerID, entryID) {
        case .found(let entry): return .success(entry)
        case .missing(let code): return .failure(Refusal(code: code))
        case .onDisk: return .failure(Refusal(code: negative(.noEntry, ledgerID)))
        }
      } catch {
        logger.error("An entry cannot be read; its ledger is answered as unknown.", metadata: ["error": "\(error)"])
        state.withLockedValue { $0.statistics.damagedReads += 1 }
        if !environmentFailed(error) { report(ledgerID, [entryID], log: nil) }
        return .failure(Refusal(code: .ioError))
      }
    }
  }

  /// Whether the reason is one that may pass, and not the entry's own damage.
  private func environmentFailed(_ error: any Error) -> Bool {
    guard let error = error as? BookieError, case .damaged = error else { return true }
    return false
  }

  private func lookUp(_ ledgerID: Int64, _ entryID: Int64) -> Lookup {
    guard ledgerID >= 0, entryID >= ReadRequest.lastEntry else { return .missing(.badRequest) }
    let lookup = state.withLockedValue { state -> Lookup in
      let isInLimbo = state.table.isInLimbo(ledgerID)
      let negative: (BookieReturnCode) -> Lookup = { .missing(isInLimbo ? .unknownLedgerState : $0) }
      guard let ledger = state.table[ledgerID] else { return negative(.noLedger) }
      guard !ledger.isDeleted else { return .missing(.noLedger) }
      let wanted = entryID == ReadRequest.lastEntry ? ledger.lastEntry : entryID
      guard wanted >= 0 else { return negative(.noEntry) }
      if let entry = state.cache.entry(ledgerID: ledgerID, entryID: wanted) {
        state.statistics.writeCacheHits += 1
        return .found(entry)
      }
      return wanted > ledger.lastFlushed ? negative(.noEntry) : .onDisk(entryID: wanted)
    }
    guard case .onDisk(let wanted) = lookup else { return lookup }
    guard let entry = readCache.entry(ledgerID: ledgerID, entryID: wanted) else { return lookup }
    state.withLockedValue { $0.statistics.readCacheHits += 1 }
    return .found(entry)
  }

  private func negative(_ code: BookieReturnCode, _ ledgerID: Int64) -> BookieReturnCode {
    state.withLockedValue { $0.table.isInLimbo(ledgerID) } ? .unknownLedgerState : code
  }

  /// Reads an entry and those behind it from its entry log. Nil if the index knows no such entry.
  private func load(_ ledgerID: Int64, _ entryID: Int64, _ disk: DiskUse) throws(BookieError) -> ByteBuffer? {
    let isPaced =
      disk == .paced && environment.hasThreads && journals.contains { pacedReads.isNeeded(lastSync: $0.lastSync) }
    let start = environment.now()
    var run = try index.run(ledgerID: ledgerID, entryID: entryID)
    let spent = (environment.now() - start).nanoseconds
    state.withLockedValue { state in
      state.statistics.cacheMisses += 1
      state.statistics.indexReadLatency.record(nanoseconds: spent)
    }
    while true {
      guard let found = run else { return nil }
      do throws(BookieError) {
        return try load(ledgerID, entryID, from: found, disk, isPaced: isPaced)
      } catch {
        // Compaction may have moved it, and removed the log, since the index was asked.
        run = try index.run(ledgerID: ledgerID, entryID: entryID)
        guard run != found else { throw error }
      }
    }
  }

  private func load(
    _ ledgerID: Int64, _ entryID: Int64, from run: LocationRun, _ disk: DiskUse, isPaced: Bool
  ) throws(BookieError) -> ByteBuffer? {
    guard let (first, offset) = run.find(entryID) else { return nil }
    var end = first + 1
    var bytes = run.items[first].size
    let limit = isPaced ? min(ReadPacing.pieceBytes, configuration.readAheadBytes) : configuration.readAheadBytes
    while end < run.items.count, bytes + run.items[end].size <= limit {
      bytes += run.items[end].size
      end += 1
    }
    let items = run.items[first..<end]
    // What is urgent does not wait for somebody who gives way to adds.
    guard environment.hasThreads, disk != .urgent else { return try read(items, ledgerID, run.logID, offset, bytes) }
    while true {
      if let ticket = flights.board(ledgerID, entryID...run.items[end - 1].entryID) {
        defer { flights.land(ticket) }
        guard isPaced else { return try read(items, ledgerID, run.logID, offset, bytes) }
        return try pacedReads.perform { () throws(BookieError) in
          try read(items, ledgerID, run.logID, offset, bytes, readsOn: false)
        }
      }
      if let entry = readCache.entry(ledgerID: ledgerID, entryID: entryID) { return entry }
    }
  }

  /// Reads consecutive records into the read cache. Returns the first entry.
  private func read(
    _ items: ArraySlice<LocationRun.Item>, _ ledgerID: Int64, _ logID: UInt32, _ offset: UInt64, _ bytes: Int,
    readsOn: Bool = true
  ) throws(BookieError) -> ByteBuffer? {
    let reader = try logs.reader(logID)
    reader.readsOn(readsOn)
    let start = environment.now()
    defer {
      let spent = (environment.now() - start).nanoseconds
      let count = Int64(items.count)
      let bytes = Int64(bytes)
      state.withLockedValue { state in
        state.statistics.readAheadLatency.record(nanoseconds: spent)
        state.statistics.readAheadEntries += count
        state.statistics.readAheadBytes += bytes
      }
    }
    do {
      let entries = try reader.entries(items, ledgerID: ledgerID, at: offset)
      readCache.insert(ledgerID: ledgerID, entryIDs: items.map(\.entryID), entries: entries)
      return entries.first
    } catch {
      // Damage in what was read ahead must not hide an entry that is whole.
      guard items.count > 1 else { throw error }
      return try reader.entries(items.prefix(1), ledgerID: ledgerID, at: offset).first
    }
  }
}
