import NIOCore

/// The 20 bytes by which a bookie knows that a client may write to a ledger: SHA-1("ledger" + password).
///
/// A bookie learns a ledger's key from the first add or fence and refuses any other.
public struct LedgerMasterKey: Hashable, Sendable {
  /// Number of bytes of a key on the wire.
  public static let byteCount = 20

  private var first: UInt64
  private var second: UInt64
  private var third: UInt32

  /// The key of a ledger that was created with `password` (empty for Pulsar's default).
  public init(password: [UInt8]) {
    var digest = ByteBuffer(bytes: SHA1.digest([Array("ledger".utf8), password]))
    self = LedgerMasterKey(reading: &digest) ?? LedgerMasterKey(first: 0, second: 0, third: 0)
  }

  /// A key from its 20 bytes; nil for any other number of bytes.
  public init?(bytes: [UInt8]) {
    var buffer = ByteBuffer(bytes: bytes)
    guard bytes.count == Self.byteCount, let key = LedgerMasterKey(reading: &buffer) else { return nil }
    self = key
  }

  /// Reads a key off the front of `buffer`; nil (and nothing consumed) if it holds fewer than 20 bytes.
  public init?(reading buffer: inout ByteBuffer) {
    guard
      let (first, second, third) = buffer.readMultipleIntegers(as: (UInt64, UInt64, UInt32).self)
    else { return nil }
    self.init(first: first, second: second, third: third)
  }

  private init(first: UInt64, second: UInt64, third: UInt32) {
    self.first = first
    self.second = second
    self.third = third
  }

  /// Appends the 20 bytes to `buffer`.
  public func write(into buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(first, second, third)
  }

  /// The 20 bytes.
  public var bytes: [UInt8] {
    var buffer = ByteBufferAllocator().buffer(capacity: Self.byteCount)
    write(into: &buffer)
    return Array(buffer.readableBytesView)
  }
}
