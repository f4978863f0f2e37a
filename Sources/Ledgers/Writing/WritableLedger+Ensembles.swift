import Logging
import NIOCore

/// How a writer's bookies are replaced.
extension WritableLedger {
  typealias Replacements = (ensemble: [String], slots: [Int])

  /// How long entries that have their ack quorum wait for a bookie to be replaced.
  private static let patience = TimeAmount.seconds(1)

  /// Bookies that are registered no more are replaced, if there are others, although nothing was sent that could fail:
  /// else an idle ledger would stay on them for ever. False if that has to be asked again later.
  func replace(_ gone: Set<String>) -> Bool {
    eventLoop.assertInEventLoop()
    guard closing == nil, writer.failure == nil else { return true }
    guard writer.change == nil else { return false }
    let slots = writer.ensemble.indices.filter { gone.contains(writer.ensemble[$0]) }
    guard !slots.isEmpty else { return true }
    let found = selector.replacements(for: slots, in: writer.ensemble, of: current.metadata)
    writer.gone(found.slots, &actions)
    perform()
    return true
  }

  /// Bookies that are much slower than others are replaced where there are others that did not fail of late: a slow bookie
  /// is better than one that may fail, or none.
  func replace(slow: Set<String>) {
    eventLoop.assertInEventLoop()
    guard closing == nil, writer.failure == nil, writer.change == nil else { return }
    let slots = writer.ensemble.indices.filter { slow.contains(writer.ensemble[$0]) }
    let doubtful = bookies.directory.suspects.union(slow)
    let found = selector.replacements(for: slots, in: writer.ensemble, of: current.metadata, suspects: doubtful)
    let better = found.slots.filter { !doubtful.contains(found.ensemble[$0]) }
    guard !better.isEmpty else { return }
    logger.warning(
      "A bookie is much slower than others and is replaced.",
      metadata: ["bookies": "\(better.map { writer.ensemble[$0] }.joined(separator: ","))"])
    writer.gone(better, &actions)
    perform()
  }

  func changeEnsemble(_ change: LedgerWriter.EnsembleChange) {
    for slot in change.slots where !change.vacant.contains(slot) {
      bookies.directory.noteFailure(of: change.ensemble[slot])
    }
    let found = selector.replacements(for: change, of: current.metadata)
    // Entries are confirmed without these places too: nothing that may take long is waited for.
    let isOptional = writer.striping.everyWriteSetReachesAckQuorum { !change.slots.contains($0) }
    if isOptional, found.slots.isEmpty { return finish(change) }
    let start = current
    let preparation = eventLoop.makePromise(of: Replacements?.self)
    Task { [self] in preparation.succeed(await prepared(change, found, start.metadata)) }
    if isOptional { eventLoop.scheduleTask(in: Self.patience) { preparation.succeed(nil) } }
    Task { [self] in
      guard let (ensemble, replaced) = try? await preparation.futureResult.get() else {
        finish(change)
        return eventLoop.execute { self.lookForBookies() }
      }
      do throws(LedgerError) {
        // What cannot be recorded now may be later: only when it is unknown whether it was is the ledger lost.
        let versioned = try await store.nameEnsemble(ensemble, from: change.firstEntry, of: id, over: start)
        guard let versioned else { return finish(change) }
        finish(change, ensemble, replaced, versioned)
      } catch {
        fail(change, error)
      }
    }
  }

  /// Another ensemble, once the metadata store has answered and knows all that the old one may lack; nil without.
  private func prepared(
    _ change: LedgerWriter.EnsembleChange, _ found: Replacements, _ metadata: LedgerMetadata
  ) async -> Replacements? {
    do {
      try await bookies.repairs.store(id)
      guard found.slots.isEmpty else {
        try await reachMetadata()
        return found
      }
      try await bookies.directory.refresh()
    } catch {
      logger.warning("No bookie can be replaced while metadata are out of reach.", metadata: ["error": "\(error)"])
      return nil
    }
    let other = selector.replacements(for: change, of: metadata)
    return other.slots.isEmpty ? nil : other
  }

  /// Throws if the metadata store does not answer. That a ledger is not its writer's any more the change itself finds out.
  private func reachMetadata() async throws(LedgerError) {
    do { _ = try await store.read(id) } catch .noSuchLedger {}
  }

  /// Whether there are bookies, as far as is known, for places that have none.
  private var areThereOthers: Bool {
    let slots = writer.absentSlots
    guard closing == nil, writer.failure == nil, writer.change == nil, !slots.isEmpty else { return false }
    let change = LedgerWriter.EnsembleChange(
      firstEntry: writer.lastAddConfirmed + 1, ensemble: writer.ensemble, slots: slots, vacant: slots)
    return !selector.replacements(for: change, of: current.metadata).slots.isEmpty
  }

  /// Looks for bookies for the places that have none, beside the entries that are confirmed meanwhile. Costs nothing while
  /// there are none.
  func lookForBookies() {
    guard !isPreparing, areThereOthers else { return }
    isPreparing = true
    Task { [self] in
      do {
        try await bookies.repairs.store(id)
        try await reachMetadata()
        eventLoop.execute { self.endPreparing(isReady: true) }
      } catch {
        eventLoop.execute { self.endPreparing(isReady: false) }
      }
    }
  }

  private func endPreparing(isReady: Bool) {
    isPreparing = false
    guard isReady, areThereOthers else { return }
    writer.lookAgain(&actions)
    perform()
  }

  /// No place has got another bookie.
  private func finish(_ change: LedgerWriter.EnsembleChange) {
    finish(change, change.ensemble, [], nil)
  }

  private func finish(
    _ change: LedgerWriter.EnsembleChange, _ ensemble: [String], _ replaced: [Int],
    _ versioned: LedgerMetadataStore.Versioned?
  ) {
    eventLoop.execute { [self] in
      logger.info(
        replaced.isEmpty ? "No other bookie for a place of the ensemble." : "Ensemble changed.",
        metadata: [
          "firstEntry": "\(change.firstEntry)", "from": "\(change.ensemble.joined(separator: ","))",
          "to": "\(ensemble.joined(separator: ","))",
        ])
      if !replaced.isEmpty { bookies.figures.ensembleChanges += 1 }
      if let versioned { current = versioned }
      writer.ensembleChanged(ensemble, replaced: replaced, now: .now(), &actions)
      connect()
      perform()
    }
  }

  private func fail(_ change: LedgerWriter.EnsembleChange, _ error: LedgerError) {
    eventLoop.execute { [self] in
      writer.ensembleChangeFailed(error, &actions)
      perform()
    }
  }
}
