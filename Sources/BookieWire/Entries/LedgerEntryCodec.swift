import Checksums
import NIOCore

/// Builds and verifies the entries of one ledger: the header, the digest over header and payload, the payload itself
/// untouched and uncopied.
public struct LedgerEntryCodec: Sendable {
  /// The ledger's digest type.
  public let digest: LedgerDigest
  private let authenticationKey: [UInt8]

  /// A codec for a ledger that was created with this digest and password.
  public init(digest: LedgerDigest, password: [UInt8] = []) {
    self.digest = digest
    authenticationKey = digest == .hmac ? SHA1.digest([Array("mac".utf8), password]) : []
  }

  /// Bytes that an entry has in front of its payload.
  public var overhead: Int { LedgerEntryHeader.byteCount + digest.byteCount }

  /// The entry with this header whose payload is `first` followed by `second`.
  public func encode(_ header: LedgerEntryHeader, _ first: ByteBuffer, _ second: ByteBuffer = ByteBuffer())
    -> EntryBytes
  {
    var head = ByteBufferAllocator().buffer(capacity: overhead)
    header.write(into: &head)
    appendDigest(to: &head, first, second)
    return EntryBytes(head: head, body: first, tail: second)
  }

  /// Takes an entry apart that a bookie returned, after verifying its size, its digest and that it is the one asked for.
  ///
  /// - Parameters:
  ///   - entry: the bytes as stored.
  ///   - ledgerID: the ledger that was asked for.
  ///   - entryID: the entry that was asked for; nil for a read of the last entry.
  /// - Returns: the header and a slice of the payload.
  public func decode(
    _ entry: ByteBuffer, ledgerID: Int64, entryID: Int64?
  ) throws(BookieWireError) -> (header: LedgerEntryHeader, payload: ByteBuffer) {
    var rest = entry
    guard let header = LedgerEntryHeader(reading: &rest), let digest = rest.readSlice(length: digest.byteCount) else {
      throw .entryTooShort(entry.readableBytes, atLeast: overhead)
    }
    guard header.ledgerID == ledgerID, entryID == nil || header.entryID == entryID else {
      throw .entryMismatch(
        expectedLedger: ledgerID, expectedEntry: entryID, ledgerID: header.ledgerID, entryID: header.entryID)
    }
    var expected = ByteBufferAllocator().buffer(capacity: overhead)
    expected.writeImmutableBuffer(entry.getSlice(at: entry.readerIndex, length: LedgerEntryHeader.byteCount) ?? entry)
    appendDigest(to: &expected, rest, ByteBuffer())
    expected.moveReaderIndex(forwardBy: LedgerEntryHeader.byteCount)
    guard expected == digest else { throw .digestMismatch(ledgerID: header.ledgerID, entryID: header.entryID) }
    return (header, rest)
  }

  /// Appends the digest over what `head` holds and the two payload pieces.
  private func appendDigest(to head: inout ByteBuffer, _ first: ByteBuffer, _ second: ByteBuffer) {
    switch digest {
    case .crc32c:
      head.writeInteger(Self.fold(head, first, second) { CRC32C.checksum($0, extending: $1) })
    case .crc32:
      head.writeInteger(UInt64(Self.fold(head, first, second) { CRC32IEEE.checksum($0, extending: $1) }))
    case .hmac:
      let message = Array(head.readableBytesView) + first.readableBytesView + second.readableBytesView
      head.writeBytes(SHA1.authenticationCode(of: message, key: authenticationKey))
    case .dummy:
      break
    }
  }

  private static func fold(
    _ head: ByteBuffer, _ first: ByteBuffer, _ second: ByteBuffer,
    _ checksum: (UnsafeRawBufferPointer, UInt32) -> UInt32
  ) -> UInt32 {
    var value = head.withUnsafeReadableBytes { checksum($0, 0) }
    value = first.withUnsafeReadableBytes { checksum($0, value) }
    return second.readableBytes == 0 ? value : second.withUnsafeReadableBytes { checksum($0, value) }
  }
}
