import NIOCore

/// The operations of the v2 protocol that are spoken here.
public enum BookieOpcode: UInt8, Sendable {
  /// Store an entry.
  case add = 1
  /// Read one entry, or the last one.
  case read = 2
  /// Exchange authentication payloads; also how the request-id extension is negotiated.
  case auth = 3
  /// Read consecutive entries.
  case batchRead = 7
}

/// The flags of a request.
public struct BookieRequestFlags: OptionSet, Hashable, Sendable {
  /// The 16 bits on the wire.
  public let rawValue: UInt16

  /// The flags with these bits.
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The read fences the ledger first; it carries the master key.
  public static let fencing = BookieRequestFlags(rawValue: 0x0001)
  /// The add is made by recovery or repair and bypasses the fence.
  public static let recoveryAdd = BookieRequestFlags(rawValue: 0x0002)
  /// The request goes before ordinary ones.
  public static let highPriority = BookieRequestFlags(rawValue: 0x0004)
  /// An 8-byte request id follows the packet header (Meridian's extension; see `BookieAuthMessage.requestIDs`).
  public static let requestID = BookieRequestFlags(rawValue: 0x8000)
}

/// The 4 bytes (and the request id of the extension) that begin every packet.
struct BookiePacketHeader {
  static let currentVersion: UInt8 = 2

  var version: UInt8 = Self.currentVersion
  var opcode: UInt8
  var flags: BookieRequestFlags
  var requestID: UInt64?

  init(_ opcode: BookieOpcode, flags: BookieRequestFlags, requestID: UInt64?) {
    self.opcode = opcode.rawValue
    self.flags = flags
    self.requestID = requestID
  }

  init(reading frame: inout ByteBuffer) throws(BookieWireError) {
    guard let word = frame.readInteger(as: UInt32.self) else { throw .truncated("the packet header") }
    version = UInt8(truncatingIfNeeded: word >> 24)
    opcode = UInt8(truncatingIfNeeded: word >> 16)
    flags = BookieRequestFlags(rawValue: UInt16(truncatingIfNeeded: word))
    guard flags.contains(.requestID) else { return }
    guard let id = frame.readInteger(as: UInt64.self) else { throw .truncated("the request id") }
    requestID = id
    flags.remove(.requestID)
  }

  var byteCount: Int { requestID == nil ? 4 : 12 }

  func write(into buffer: inout ByteBuffer) {
    var bits = flags
    if requestID != nil { bits.insert(.requestID) }
    buffer.writeInteger(UInt32(version) << 24 | UInt32(opcode) << 16 | UInt32(bits.rawValue))
    if let requestID { buffer.writeInteger(requestID) }
  }
}
