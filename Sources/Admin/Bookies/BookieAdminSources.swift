import Bookie
import Ledgers
import Logging

/// What of bookies and ledgers an admin server shows and operates.
public struct BookieAdminSources: Sendable {
  /// The bookies of this process.
  public var bookies: [Bookie]
  /// Reaches the region's ledgers; nil: what is about ledgers and other bookies is answered with 503.
  public var ledgers: LedgerClient?
  /// The auto-recovery of this process, for its figures; nil: it runs none.
  public var autoRecovery: AutoRecovery?
  /// Settings of the process told at `/api/v1/config/server_config`, besides those of its bookies.
  public var settings: [String: String]

  /// What a process has.
  public init(
    bookies: [Bookie], ledgers: LedgerClient? = nil, autoRecovery: AutoRecovery? = nil, settings: [String: String] = [:]
  ) {
    self.bookies = bookies
    self.ledgers = ledgers
    self.autoRecovery = autoRecovery
    self.settings = settings
  }
}

/// All that the handlers of `/api/v1` work with.
struct BookieAdminServices: Sendable {
  var sources: BookieAdminSources
  var logger: Logger
  let jobs = BookieJobs()

  init(sources: BookieAdminSources, logger: Logger) {
    self.sources = sources
    self.logger = logger
  }

  /// The bookie that a request is about: the one that its path names, or the only one there is. It serves, else 503.
  func bookie(_ request: AdminRequest) throws -> Bookie {
    let bookie = try anyBookie(request)
    guard bookie.isRunning else { throw AdminFailure(503, "Bookie \(bookie.bookieID) is shut down") }
    return bookie
  }

  /// As `bookie`, also if it is shut down.
  func anyBookie(_ request: AdminRequest) throws -> Bookie {
    let names = sources.bookies.map(\.bookieID).joined(separator: ", ")
    if let name = request.parameters["bookie"] {
      guard let found = sources.bookies.first(where: { $0.bookieID == name }) else {
        throw AdminFailure(
          404, names.isEmpty ? "No bookie runs in this process" : "Bookie \(name) is not in this process, only \(names)"
        )
      }
      return found
    }
    guard let first = sources.bookies.first else { throw AdminFailure(404, "No bookie runs in this process") }
    guard sources.bookies.count == 1 else {
      throw AdminFailure(
        400, "This process has several bookies (\(names)): put /bookies/<id> before the path to say which one")
    }
    return first
  }

  /// What operates on the region's ledgers.
  var operations: LedgerOperator {
    get throws { LedgerOperator(client: try client) }
  }

  /// The client of the region's ledgers.
  var client: LedgerClient {
    get throws {
      guard let client = sources.ledgers else { throw AdminFailure(503, "This process has no client of ledgers") }
      return client
    }
  }
}
