import Foundation
import NIOCore
import PulsarWire

/// The same values as the generated types have them: what the library writes for these is the yardstick.
extension SendCommand {
  var mirror: ProtoBaseCommand {
    var proto = ProtoCommandSend()
    proto.producerID = producerID
    proto.sequenceID = sequenceID
    if numMessages != 1 { proto.numMessages = numMessages }
    if txnLeastBits != 0 { proto.txnidLeastBits = txnLeastBits }
    if txnMostBits != 0 { proto.txnidMostBits = txnMostBits }
    if let highestSequenceID { proto.highestSequenceID = highestSequenceID }
    if isChunk { proto.isChunk = true }
    if marker { proto.marker = true }
    if let messageID { proto.messageID = messageID.proto }
    if let origin { proto.meridianOrigin = origin.proto }
    var base = ProtoBaseCommand()
    base.type = .send
    base.send = proto
    return base
  }
}

extension SendReceiptCommand {
  var mirror: ProtoBaseCommand {
    var proto = ProtoCommandSendReceipt()
    proto.producerID = producerID
    proto.sequenceID = sequenceID
    if let messageID { proto.messageID = messageID.proto }
    if highestSequenceID != 0 { proto.highestSequenceID = highestSequenceID }
    if let watermark { proto.meridianWatermark = watermark.proto }
    var base = ProtoBaseCommand()
    base.type = .sendReceipt
    base.sendReceipt = proto
    return base
  }
}

extension MessageCommand {
  var mirror: ProtoBaseCommand {
    var proto = ProtoCommandMessage()
    proto.consumerID = consumerID
    proto.messageID = messageID.proto
    if redeliveryCount != 0 { proto.redeliveryCount = redeliveryCount }
    proto.ackSet = ackSet
    if let consumerEpoch { proto.consumerEpoch = consumerEpoch }
    var base = ProtoBaseCommand()
    base.type = .message
    base.message = proto
    return base
  }
}

extension AckCommand {
  var mirror: ProtoBaseCommand {
    var proto = ProtoCommandAck()
    proto.consumerID = consumerID
    proto.ackType = type == .individual ? .individual : .cumulative
    proto.messageID = messageIDs.map(\.proto)
    if let validationError { proto.validationError = validationError }
    proto.properties = properties
    if txnLeastBits != 0 { proto.txnidLeastBits = txnLeastBits }
    if txnMostBits != 0 { proto.txnidMostBits = txnMostBits }
    if let requestID { proto.requestID = requestID }
    var base = ProtoBaseCommand()
    base.type = .ack
    base.ack = proto
    return base
  }
}

extension FlowCommand {
  var mirror: ProtoBaseCommand {
    var base = ProtoBaseCommand()
    base.type = .flow
    base.flow.consumerID = consumerID
    base.flow.messagePermits = messagePermits
    return base
  }
}

extension MessageProperty {
  var mirror: ProtoKeyValue {
    var proto = ProtoKeyValue()
    proto.key = key
    proto.value = value
    return proto
  }
}

extension MessageMetadata {
  var mirror: ProtoMessageMetadata {
    var proto = ProtoMessageMetadata()
    proto.producerName = producerName
    proto.sequenceID = sequenceID
    proto.publishTime = UInt64(bitPattern: publishTimeMs)
    proto.properties = properties.map(\.mirror)
    if let replicatedFrom { proto.replicatedFrom = replicatedFrom }
    if let partitionKey { proto.partitionKey = partitionKey }
    proto.replicateTo = replicateTo
    if compression != .none, let type = ProtoCompressionType(rawValue: Int(compression.rawValue)) {
      proto.compression = type
    }
    if uncompressedSize != 0 { proto.uncompressedSize = uncompressedSize }
    if let numMessagesInBatch { proto.numMessagesInBatch = numMessagesInBatch }
    if eventTimeMs != 0 { proto.eventTime = UInt64(bitPattern: eventTimeMs) }
    proto.encryptionKeys = encryptionKeys
    if let encryptionAlgorithm { proto.encryptionAlgo = encryptionAlgorithm }
    if let encryptionParameter { proto.encryptionParam = Data(encryptionParameter.readableBytesView) }
    if let schemaVersion { proto.schemaVersion = Data(schemaVersion.readableBytesView) }
    if partitionKeyIsBase64 { proto.partitionKeyB64Encoded = true }
    if let orderingKey { proto.orderingKey = Data(orderingKey.readableBytesView) }
    if let deliverAtTimeMs { proto.deliverAtTime = deliverAtTimeMs }
    if let markerType { proto.markerType = markerType }
    if let txnLeastBits { proto.txnidLeastBits = txnLeastBits }
    if let txnMostBits { proto.txnidMostBits = txnMostBits }
    if highestSequenceID != 0 { proto.highestSequenceID = highestSequenceID }
    if nullValue { proto.nullValue = true }
    if let uuid { proto.uuid = uuid }
    if let numChunksFromMessage { proto.numChunksFromMsg = numChunksFromMessage }
    if let totalChunkMessageSize { proto.totalChunkMsgSize = totalChunkMessageSize }
    if let chunkID { proto.chunkID = chunkID }
    if nullPartitionKey { proto.nullPartitionKey = true }
    proto.compactedBatchIndexes = compactedBatchIndexes
    if let schemaID { proto.schemaID = Data(schemaID.readableBytesView) }
    return proto
  }
}

extension SingleMessageMetadata {
  var mirror: ProtoSingleMessageMetadata {
    var proto = ProtoSingleMessageMetadata()
    proto.properties = properties.map(\.mirror)
    if let partitionKey { proto.partitionKey = partitionKey }
    proto.payloadSize = payloadSize
    if compactedOut { proto.compactedOut = true }
    if eventTimeMs != 0 { proto.eventTime = UInt64(bitPattern: eventTimeMs) }
    if partitionKeyIsBase64 { proto.partitionKeyB64Encoded = true }
    if let orderingKey { proto.orderingKey = Data(orderingKey.readableBytesView) }
    if let sequenceID { proto.sequenceID = sequenceID }
    if nullValue { proto.nullValue = true }
    if nullPartitionKey { proto.nullPartitionKey = true }
    return proto
  }
}

extension BrokerEntryMetadataView {
  var mirror: ProtoBrokerEntryMetadata {
    var proto = ProtoBrokerEntryMetadata()
    if let brokerTimestampMs { proto.brokerTimestamp = UInt64(bitPattern: brokerTimestampMs) }
    if let index { proto.index = UInt64(bitPattern: index) }
    if let localMessages { proto.meridianLocalMessages = UInt64(bitPattern: localMessages) }
    if let localBytes { proto.meridianLocalBytes = UInt64(bitPattern: localBytes) }
    if let origin { proto.meridianOrigin = origin.proto }
    return proto
  }
}
