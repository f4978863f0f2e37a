import NIOCore
import PulsarWire
import TopicLog

/// One SEND on its way from a session to a topic.
struct PublishRequest: Sendable {
  /// What the session found wrong with the entry before it looked further.
  enum Fault: Hashable, Sendable {
    case checksum(String)
    case malformed(String)
    case tooLarge(Int)
    case transaction
  }

  var command: SendCommand
  /// The producer's bytes: checksum, metadata, payload.
  var body: ByteBuffer
  /// Where the message metadata is in `body`.
  var metadataRange: Range<Int>
  var fault: Fault?

  /// Checks what a session received as the payload of a SEND. The checksum is verified here, on the connection's loop,
  /// so that a busy topic does not have to.
  init(_ command: SendCommand, payload: ByteBuffer, maxMessageSize: Int) {
    self.command = command
    body = payload
    metadataRange = 0..<0
    guard command.txnMostBits == 0, command.txnLeastBits == 0 else {
      fault = .transaction
      return
    }
    // A ledger's entry has the same limit as a frame, and takes the broker's own header as well. What another region
    // sends on was accepted there by this rule, and has grown by a few fields since.
    let reserve = command.origin == nil ? 2048 : 512
    guard payload.readableBytes <= maxMessageSize + PulsarProtocol.frameOverhead - reserve else {
      fault = .tooLarge(payload.readableBytes)
      return
    }
    do {
      let header = try EntryHeader.parse(payload)
      try header.verifyChecksum()
      if header.producerBytesOffset > 0 { body = header.producerBytes }
      metadataRange =
        header.metadataRange.lowerBound - header.producerBytesOffset..<header.metadataRange.upperBound
        - header.producerBytesOffset
    } catch PulsarWireError.checksumMismatch(let expected, let computed) {
      fault = .checksum("Checksum failed on the broker: the message says \(expected), its bytes say \(computed)")
    } catch {
      fault = .malformed("\(error)")
    }
  }

  /// Messages in the entry, at least 1 whatever the client says.
  var messages: Int { Int(max(1, command.numMessages)) }

  /// The message metadata; nil if it cannot be read.
  func metadata() -> MessageMetadataView? {
    guard let bytes = body.getSlice(at: body.readerIndex + metadataRange.lowerBound, length: metadataRange.count)
    else { return nil }
    return try? MessageMetadataView(bytes)
  }
}

/// What a topic tells a session about its producers, in order.
struct PublishReply: Sendable {
  enum Outcome: Sendable {
    /// Stored; the ids are what the receipt carries.
    case receipt(sequenceID: UInt64, highestSequenceID: UInt64, position: Position)
    /// Everything of an origin up to here is stored.
    case watermark(sequenceID: UInt64, OriginStamp)
    case failed(sequenceID: UInt64, ProtoServerError, String)
    /// Nothing is said: another reply answers it, or nobody waits.
    case silent
    /// The producer is gone because the broker wants so.
    case closedByBroker
    /// The producer is gone and everything it sent is answered: its client's request is done.
    case closedByClient(requestID: UInt64)
    /// A waiting producer has the topic now.
    case ready(requestID: UInt64, topicEpoch: Int64)
    /// A waiting producer will not get the topic.
    case refused(requestID: UInt64, ProtoServerError, String)
    /// Not about a producer: the connection is not to be read until the same topic lets it go on.
    case hold(ObjectIdentifier)
    case release(ObjectIdentifier)
  }

  /// The producer as the client calls it.
  var producerID: UInt64
  /// Which producer of that id.
  var life: UInt64
  var outcome: Outcome
  /// SENDs that need no further answer: they no longer count against the connection.
  var settled: Int = 0
  /// Their bytes.
  var settledBytes: Int = 0
}
