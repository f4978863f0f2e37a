import Foundation
import NIOCore
import PulsarWire

/// Requests about topics that need no producer or consumer. Each is answered in its own form: a plain ERROR would not be
/// heard, and the client would wait for its timeout.
extension ClientSession {
  func handle(_ command: ProtoCommandPartitionedTopicMetadata) {
    let requestID = command.requestID
    let autoCreates = command.hasMetadataAutoCreationEnabled ? command.metadataAutoCreationEnabled : true
    runLookup {
      try await self.broker.partitions(of: try TopicName(command.topic), allowAutoCreation: autoCreates)
    } then: { session, result in
      var response = ProtoCommandPartitionedTopicMetadataResponse()
      response.requestID = requestID
      switch result {
      case .success(let partitions):
        response.response = .success
        response.partitions = UInt32(clamping: partitions)
      case .failure(let error):
        let error = BrokerError.wrap(error)
        response.response = .failed
        response.error = error.serverError
        response.message = error.message
      }
      session.send(ProtoBaseCommand(response))
    }
  }

  func handle(_ command: ProtoCommandLookupTopic) {
    let requestID = command.requestID
    runLookup {
      try await self.broker.lookup(try TopicName(command.topic))
    } then: { session, result in
      var response = ProtoCommandLookupTopicResponse()
      response.requestID = requestID
      switch result {
      case .success(let address):
        response.response = .connect
        response.authoritative = true
        response.brokerServiceURL = address.serviceURL
        response.brokerServiceURLTls = address.serviceURLTLS
      case .failure(let error):
        let error = BrokerError.wrap(error)
        response.response = .failed
        response.error = error.serverError
        response.message = error.message
      }
      session.send(ProtoBaseCommand(response))
    }
  }

  func handle(_ command: ProtoCommandGetTopicsOfNamespace) {
    let requestID = command.requestID
    runLookup {
      let namespace = try NamespaceName(command.namespace)
      let mode: TopicListMode =
        switch command.mode {
        case .persistent: .persistent
        case .nonPersistent: .nonPersistent
        case .all: .all
        }
      return try await self.broker.listTopics(in: namespace, mode: mode)
    } then: { session, result in
      switch result {
      case .success(let topics):
        var response = ProtoCommandGetTopicsOfNamespaceResponse()
        response.requestID = requestID
        response.topics = topics.map(\.description)
        session.send(ProtoBaseCommand(response))
      case .failure(let error): session.send(.error(requestID, error))
      }
    }
  }

  func handle(_ command: ProtoCommandGetSchema) {
    let requestID = command.requestID
    run { () -> (TopicName, SchemaRecord) in
      let topic = try TopicName(command.topic)
      var version: Int64?
      if command.hasSchemaVersion, !command.schemaVersion.isEmpty {
        guard let number = SchemaRecord.version(of: Array(command.schemaVersion)) else {
          throw BrokerError(.schemaNotFound, "A schema version has 8 bytes, not \(command.schemaVersion.count)")
        }
        version = number
      }
      return (topic, try await self.broker.schema(of: topic, version: version))
    } then: { session, result in
      var response = ProtoCommandGetSchemaResponse()
      response.requestID = requestID
      switch result {
      case .success((let topic, let record)):
        response.schema = record.schema.proto(named: topic.partitionedTopic.localName)
        response.schemaVersion = Data(record.versionBytes)
      case .failure(let error):
        let error = BrokerError.wrap(error)
        response.errorCode = error.serverError
        response.errorMessage = error.message
      }
      session.send(ProtoBaseCommand(response))
    }
  }

  func handle(_ command: ProtoCommandGetOrCreateSchema) {
    let requestID = command.requestID
    run { () -> SchemaRecord in
      guard let schema = SchemaDefinition(command.schema) else {
        throw BrokerError.badRequest("A schema of type None cannot be registered")
      }
      return try await self.broker.postSchema(schema, to: try TopicName(command.topic))
    } then: { session, result in
      var response = ProtoCommandGetOrCreateSchemaResponse()
      response.requestID = requestID
      switch result {
      case .success(let record): response.schemaVersion = Data(record.versionBytes)
      case .failure(let error):
        let error = BrokerError.wrap(error)
        response.errorCode = error.serverError
        response.errorMessage = error.message
      }
      session.send(ProtoBaseCommand(response))
    }
  }
}
