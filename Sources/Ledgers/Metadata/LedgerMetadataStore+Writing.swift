/// The two changes that a ledger's writer makes. Each is made over whatever repairs have changed meanwhile, and by nobody
/// who has lost the ledger.
extension LedgerMetadataStore {
  /// Names the ensemble for entries from `firstEntry` on. Nil, and nothing is changed, if the metadata cannot be read now;
  /// throws if the ledger is not its writer's any more, or if it is unknown whether the change was made.
  func nameEnsemble(
    _ ensemble: [String], from firstEntry: EntryID, of id: LedgerID, over start: Versioned
  ) async throws(LedgerError) -> Versioned? {
    var versioned = start
    while true {
      guard versioned.metadata.state == .open else { throw .fenced(id) }
      guard versioned.metadata.lastSegment.firstEntry <= firstEntry else {
        throw .metadata("ledger \(id) has a segment beyond entry \(firstEntry) that its writer does not know.")
      }
      versioned.metadata.setEnsemble(ensemble, from: firstEntry)
      if let version = try await write(id, versioned.metadata, over: versioned.version) {
        return Versioned(metadata: versioned.metadata, version: version)
      }
      do {
        versioned = try await read(id)
      } catch .noSuchLedger {
        throw .noSuchLedger(id)
      } catch {
        return nil
      }
    }
  }

  /// Closes the ledger at `lastEntry`.
  func close(
    _ id: LedgerID, lastEntry: EntryID, length: Int64, over start: Versioned
  ) async throws(LedgerError) -> Versioned {
    var versioned = start
    while true {
      switch versioned.metadata.state {
      case .open: break
      case .inRecovery: throw .fenced(id)
      case .closed:
        guard versioned.metadata.lastEntry == lastEntry, versioned.metadata.length == length else { throw .fenced(id) }
        return versioned
      }
      versioned.metadata.state = .closed
      versioned.metadata.lastEntry = lastEntry
      versioned.metadata.length = length
      if let version = try await write(id, versioned.metadata, over: versioned.version) {
        return Versioned(metadata: versioned.metadata, version: version)
      }
      versioned = try await read(id)
    }
  }
}
