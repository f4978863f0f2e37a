import BookieWire
import NIOConcurrencyHelpers

/// The bookies of this process, which a ``LedgerClient`` reaches without sockets.
///
/// Bookies may come and go while clients use the registry; ledgers that are connected already keep their connection.
public final class LocalBookieRegistry: Sendable {
  private let services = NIOLockedValueBox<[String: any BookieService]>([:])

  /// An empty registry: every bookie is reached over the network.
  public init() {}

  /// Makes `service` reachable under its id, in place of one of the same id.
  public func register(_ service: any BookieService) {
    services.withLockedValue { $0[service.bookieID] = service }
  }

  /// Forgets the bookie; later connections to it go over the network.
  public func remove(_ bookieID: String) {
    services.withLockedValue { $0[bookieID] = nil }
  }

  /// The local bookie of this id, if there is one.
  public func service(_ bookieID: String) -> (any BookieService)? {
    services.withLockedValue { $0[bookieID] }
  }
}
