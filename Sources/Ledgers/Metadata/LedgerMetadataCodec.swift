import BookieWire
import NIOCore
import SwiftProtobuf

/// Ledger metadata as bytes: BookKeeper's format version 3, a line of text and one length-prefixed protobuf message.
enum LedgerMetadataCodec {
  private static let versionKey = "BookieMetadataFormatVersion"
  private static let version = 3
  /// Far above any real metadata; protects against garbage.
  private static let maximumSize = 16 << 20

  static func encode(_ metadata: LedgerMetadata) throws -> [UInt8] {
    var proto = ProtoLedgerMetadataFormat()
    proto.quorumSize = Int32(clamping: metadata.writeQuorumSize)
    proto.ensembleSize = Int32(clamping: metadata.ensembleSize)
    proto.ackQuorumSize = Int32(clamping: metadata.ackQuorumSize)
    proto.length = metadata.length
    proto.creationTime = metadata.createdMs
    proto.creatorToken = metadata.creatorToken
    proto.digestType = ProtoLedgerMetadataFormat.DigestType(rawValue: Int(metadata.digest.rawValue)) ?? .crc32C
    proto.password = .init(metadata.password)
    switch metadata.state {
    case .open: proto.state = .open
    case .inRecovery: proto.state = .inRecovery
    case .closed:
      proto.state = .closed
      proto.lastEntryID = metadata.lastEntry
    }
    proto.segments = metadata.segments.map { segment in
      .with {
        $0.firstEntryID = segment.firstEntry
        $0.ensembleMembers = segment.ensemble
      }
    }
    proto.customMetadata = metadata.customMetadata.sorted { $0.key < $1.key }.map { key, value in
      .with {
        $0.key = key
        $0.value = .init(value)
      }
    }
    let body: [UInt8] = try proto.serializedBytes()
    var bytes = Array("\(versionKey)\t\(version)\n".utf8)
    var rest = UInt64(body.count)
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
    bytes.append(contentsOf: body)
    return bytes
  }

  static func decode(_ bytes: [UInt8], of id: LedgerID) throws(LedgerError) -> LedgerMetadata {
    let proto: ProtoLedgerMetadataFormat
    do {
      proto = try ProtoLedgerMetadataFormat(serializedBytes: try body(of: bytes, id))
    } catch let error as LedgerError {
      throw error
    } catch {
      throw unreadable(id, "\(error)")
    }
    let writeQuorum = Int(proto.quorumSize)
    let ackQuorum = proto.hasAckQuorumSize ? Int(proto.ackQuorumSize) : writeQuorum
    guard let digest = LedgerDigest(rawValue: UInt8(proto.hasDigestType ? proto.digestType.rawValue : 4)) else {
      throw unreadable(id, "the digest type is unknown")
    }
    let options = LedgerOptions(
      ensembleSize: Int(proto.ensembleSize), writeQuorumSize: writeQuorum, ackQuorumSize: ackQuorum, digest: digest,
      password: Array(proto.password),
      customMetadata: Dictionary(
        proto.customMetadata.map { ($0.key, Array($0.value)) }, uniquingKeysWith: { _, last in last }))
    do { try options.validate() } catch { throw unreadable(id, "\(error)") }
    guard !proto.segments.isEmpty, proto.segments[0].firstEntryID == 0 else {
      throw unreadable(id, "it has no segment that starts at entry 0")
    }
    var metadata = LedgerMetadata(
      options: options, ensemble: [], createdMs: proto.creationTime, creatorToken: proto.creatorToken)
    metadata.segments = proto.segments.map {
      LedgerMetadata.Segment(firstEntry: $0.firstEntryID, ensemble: $0.ensembleMembers)
    }
    for (index, segment) in metadata.segments.enumerated() {
      guard segment.ensemble.count == options.ensembleSize else {
        throw unreadable(id, "a segment has \(segment.ensemble.count) bookies instead of \(options.ensembleSize)")
      }
      guard index == 0 || metadata.segments[index - 1].firstEntry < segment.firstEntry else {
        throw unreadable(id, "its segments are out of order")
      }
    }
    switch proto.state {
    case .open: metadata.state = .open
    case .inRecovery: metadata.state = .inRecovery
    case .closed:
      guard proto.hasLastEntryID, proto.lastEntryID >= -1, proto.length >= 0 else {
        throw unreadable(id, "it is closed without a last entry and a length")
      }
      metadata.state = .closed
      metadata.lastEntry = proto.lastEntryID
      metadata.length = proto.length
    }
    return metadata
  }

  private static func body(of bytes: [UInt8], _ id: LedgerID) throws(LedgerError) -> [UInt8] {
    guard let lineEnd = bytes.prefix(64).firstIndex(of: UInt8(ascii: "\n")) else {
      throw unreadable(id, "the version line is missing")
    }
    let line = String(decoding: bytes[..<lineEnd], as: UTF8.self)
    guard line == "\(versionKey)\t\(version)" else { throw unreadable(id, "its format is '\(line)'") }
    var size: UInt64 = 0
    var index = lineEnd + 1
    for shift in stride(from: UInt64(0), to: 35, by: 7) {
      guard index < bytes.count else { throw unreadable(id, "it is cut off") }
      let byte = bytes[index]
      index += 1
      size |= UInt64(byte & 0x7F) << shift
      guard byte >= 0x80 else {
        guard size <= UInt64(maximumSize), bytes.count - index >= Int(size) else {
          throw unreadable(id, "it is cut off")
        }
        return Array(bytes[index..<(index + Int(size))])
      }
    }
    throw unreadable(id, "its length is not a number")
  }

  private static func unreadable(_ id: LedgerID, _ why: String) -> LedgerError {
    .metadata("the metadata of ledger \(id) cannot be read: \(why).")
  }
}
