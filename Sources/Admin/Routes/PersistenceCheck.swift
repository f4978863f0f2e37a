import Broker

extension AdminServices {
  /// Refuses to store entries on more bookies than the region has: every topic that needs a new ledger would stand still.
  func check(_ persistence: PersistencePolicies) async throws {
    // What contradicts itself is refused for that.
    guard (try? persistence.check()) != nil, let bookieCount = sources.bookieCount else { return }
    let count = try await bookieCount()
    guard persistence.bookkeeperEnsemble > count else { return }
    throw PolicyError(
      .preconditionFailed,
      "Bookkeeper Ensemble (\(persistence.bookkeeperEnsemble)) needs as many bookies, and this region has \(count): "
        + "start more bookies or use a smaller ensemble.")
  }
}
