import NIOCore

/// One frame as it came from the wire.
public struct PulsarFrame: Hashable, Sendable {
  /// The command.
  public var command: PulsarCommand
  /// Everything behind the command, a slice of the read buffer and not a copy; nil when there is nothing.
  ///
  /// For SEND and MESSAGE this is an entry: `EntryHeader.parse` reads its front.
  public var payload: ByteBuffer?

  /// Creates a frame.
  public init(command: PulsarCommand, payload: ByteBuffer? = nil) {
    self.command = command
    self.payload = payload
  }
}

/// Sizes and magic numbers of the protocol.
public enum PulsarProtocol {
  /// The protocol version that this side speaks.
  public static let version: Int32 = 21
  /// Largest message (metadata and payload) by default, in bytes: 5 MiB.
  public static let defaultMaxMessageSize = 5 * 1024 * 1024
  /// What a frame may hold in addition to a message of the largest size, in bytes: 10 KiB.
  public static let frameOverhead = 10 * 1024
  /// In front of the CRC32C of an entry.
  public static let checksumMagic: UInt16 = 0x0e01
  /// In front of the broker's metadata of an entry.
  public static let brokerEntryMetadataMagic: UInt16 = 0x0e02
}
