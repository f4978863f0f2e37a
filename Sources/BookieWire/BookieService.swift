import NIOCore

/// A bookie that lives in the same process as its client, reached without sockets or serialisation.
public protocol BookieService: Sendable {
  /// The bookie's id, as it is named in ledger metadata.
  var bookieID: String { get }

  /// Opens a connection that is confined to `eventLoop`. Must be called on that loop.
  ///
  /// - Parameters:
  ///   - onResponses: called on the loop with answers, in any order, many at a time. Match them by request id.
  ///   - onClose: called on the loop once, when the bookie stops; requests without an answer have an unknown outcome, and
  ///     later ones get none.
  func connect(
    on eventLoop: any EventLoop, onResponses: @escaping ([BookieResponse]) -> Void, onClose: @escaping () -> Void
  ) -> any LocalBookieConnection
}

/// A connection to a ``BookieService``: the meaning of a socket to the same bookie, and the same journal behind it.
///
/// Confined to the loop on which it was opened.
public protocol LocalBookieConnection: AnyObject {
  /// Hands a batch over. Every request but AUTH must carry a request id that is unique among those without an answer.
  ///
  /// Payloads are not copied before this returns and must not be changed afterwards (a `ByteBuffer` guarantees it).
  func submit(_ requests: [BookieRequest])

  /// Closes the connection: no callback is made after this returns. What was submitted may still be stored.
  func close()
}
