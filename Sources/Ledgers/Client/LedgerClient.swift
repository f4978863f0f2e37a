import Logging
import MetadataStore
import NIOCore

/// Creates, opens and deletes ledgers: the client of a region's bookies.
///
/// One client serves a process. Ledgers opened on one event loop share one connection per bookie.
public final class LedgerClient: Sendable {
  /// Makes a client; it connects to bookies when the first ledger needs them.
  public init(
    metadata: any MetadataStore, group: any EventLoopGroup, configuration: LedgerClientConfiguration, logger: Logger
  ) {}

  /// Creates a ledger whose handle is confined to `loop`.
  /// Throws ``LedgerError/notEnoughBookies(needed:available:)`` when fewer bookies are registered than the ensemble needs.
  public func createLedger(_ options: LedgerOptions, on loop: any EventLoop) async throws -> WritableLedger {
    throw LedgerError.shutDown
  }

  /// Opens a ledger to read all of it. Unless it is closed already its writer is fenced, its end is found and it is
  /// closed; throws ``LedgerError/dataUnavailable(_:)`` when too few bookies answer to be sure where it ends.
  public func openLedger(_ id: LedgerID, on loop: any EventLoop) async throws -> ReadableLedger {
    throw LedgerError.shutDown
  }

  /// Opens a ledger to read what is known to be acknowledged, leaving its writer alone.
  public func openLedgerWithoutRecovery(_ id: LedgerID, on loop: any EventLoop) async throws -> ReadableLedger {
    throw LedgerError.shutDown
  }

  /// Forgets a ledger; bookies reclaim its space later. Succeeds if it does not exist.
  public func deleteLedger(_ id: LedgerID) async throws {
    throw LedgerError.shutDown
  }

  /// The metadata of a ledger as it is now.
  public func ledgerMetadata(_ id: LedgerID) async throws -> LedgerMetadata {
    throw LedgerError.shutDown
  }

  /// Closes all connections; whatever is outstanding fails.
  public func shutdown() async throws {}
}
