import Checksums
import NIOCore

/// The front of an entry, as a producer sends it or as it is stored:
/// `[0x0e02 size BrokerEntryMetadata]? [0x0e01 crc32c]? [metadataSize][metadata][payload]`.
///
/// It holds the entry's buffer and offsets into it; nothing is copied, the message metadata is not decoded.
public struct EntryHeader: Hashable, Sendable {
  /// The whole entry.
  public let entry: ByteBuffer
  /// What the broker put in front, if anything.
  public let brokerEntryMetadata: BrokerEntryMetadataView?
  /// CRC32C of metadata size, metadata and payload, if the producer sent one.
  public let checksum: UInt32?
  /// Where the producer's bytes begin: behind the broker's metadata. Offsets count from the entry's reader index.
  public let producerBytesOffset: Int
  /// Where the message metadata is.
  public let metadataRange: Range<Int>
  /// Where the payload is.
  public let payloadRange: Range<Int>

  /// The bytes of the `MessageMetadata`.
  public var metadata: ByteBuffer { entry.subslice(metadataRange) }
  /// The payload: a message, or a batch, perhaps compressed.
  public var payload: ByteBuffer { entry.subslice(payloadRange) }
  /// The entry as its producer sent it, without the broker's metadata.
  public var producerBytes: ByteBuffer { entry.subslice(producerBytesOffset..<payloadRange.upperBound) }
  /// The bytes that the checksum covers.
  public var checksummedBytes: ByteBuffer { entry.subslice(metadataRange.lowerBound - 4..<payloadRange.upperBound) }

  /// Largest broker entry metadata accepted, in bytes.
  public static let maxBrokerEntryMetadataSize = 64 * 1024

  /// Finds the parts of an entry; every size is checked against the bytes that are there.
  public static func parse(_ entry: ByteBuffer) throws(PulsarWireError) -> EntryHeader {
    var buffer = entry
    let broker = try readBrokerPart(&buffer)
    let producerBytesOffset = buffer.readerIndex - entry.readerIndex
    var checksum: UInt32?
    if buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == PulsarProtocol.checksumMagic {
      buffer.moveReaderIndex(forwardBy: 2)
      guard let stored: UInt32 = buffer.readInteger() else { throw .malformedFrame("the entry ends in its checksum") }
      checksum = stored
    }
    guard let size: UInt32 = buffer.readInteger() else {
      throw .malformedFrame("the entry ends before its metadata's size")
    }
    guard Int(size) <= buffer.readableBytes else {
      throw .malformedFrame("the entry's metadata of \(size) bytes does not fit the \(buffer.readableBytes) left")
    }
    let start = buffer.readerIndex - entry.readerIndex
    let end = start + Int(size)
    return EntryHeader(
      entry: entry,
      brokerEntryMetadata: try broker?.parse { reader throws(PulsarWireError) in
        try BrokerEntryMetadataView.decode(&reader)
      }, checksum: checksum, producerBytesOffset: producerBytesOffset, metadataRange: start..<end,
      payloadRange: end..<entry.readableBytes)
  }

  /// Where the producer's bytes begin, for a dispatcher that needs nothing else of the entry.
  public static func producerBytesOffset(in entry: ByteBuffer) throws(PulsarWireError) -> Int {
    var buffer = entry
    _ = try readBrokerPart(&buffer)
    return buffer.readerIndex - entry.readerIndex
  }

  /// Throws `PulsarWireError.checksumMismatch` if the entry carries a checksum and it is not that of its bytes.
  public func verifyChecksum() throws(PulsarWireError) {
    guard let checksum else { return }
    let computed = CRC32C.checksum(checksummedBytes)
    guard computed == checksum else { throw .checksumMismatch(expected: checksum, computed: computed) }
  }

  private static func readBrokerPart(_ buffer: inout ByteBuffer) throws(PulsarWireError) -> ByteBuffer? {
    guard buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == PulsarProtocol.brokerEntryMetadataMagic else {
      return nil
    }
    buffer.moveReaderIndex(forwardBy: 2)
    guard let size: UInt32 = buffer.readInteger() else {
      throw .malformedFrame("the entry ends before its broker metadata's size")
    }
    guard Int(size) <= maxBrokerEntryMetadataSize, let part = buffer.readSlice(length: Int(size)) else {
      throw .malformedFrame("the entry's broker metadata of \(size) bytes does not fit")
    }
    return part
  }
}
