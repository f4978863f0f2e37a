import Broker
import NIOCore
import PulsarClient
import PulsarWire

extension Link {
  /// Finds the remote broker that owns a topic and connects to it. Call it on `loop`; the result is on `loop`.
  func owner(of topic: TopicName, on loop: any EventLoop) -> EventLoopFuture<PulsarConnection> {
    loop.assertInEventLoop()
    do throws(LinkError) {
      let (endpoint, connections) = try entrance(on: loop)
      return connections.connection(to: endpoint.target.address, options: endpoint.options)
        .flatMap { [self] seed in
          do { try verify(seed) } catch { return loop.makeFailedFuture(error) }
          return lookUp(topic, at: seed, isAuthoritative: false, endpoint, connections, attemptsLeft: 8)
        }
    } catch {
      return loop.makeFailedFuture(error)
    }
  }

  private func lookUp(
    _ topic: TopicName, at connection: PulsarConnection, isAuthoritative: Bool, _ endpoint: Endpoint,
    _ connections: LinkConnections, attemptsLeft: Int
  ) -> EventLoopFuture<PulsarConnection> {
    var lookup = ProtoCommandLookupTopic()
    lookup.topic = topic.description
    lookup.requestID = connection.makeID()
    lookup.authoritative = isAuthoritative
    let loop = connection.eventLoop
    return connection.request(
      ProtoBaseCommand(lookup), id: lookup.requestID, timeout: configuration.requestTimeout
    ).flatMap { [self] answer in
      let response = answer.lookupTopicResponse
      let url = endpoint.target.address.isTLS ? response.brokerServiceURLTls : response.brokerServiceURL
      switch response.response {
      case .failed: return loop.makeFailedFuture(PulsarClientError.broker(response.error, response.message))
      case .connect where response.proxyThroughServiceURL: return loop.makeSucceededFuture(connection)
      case .connect, .redirect:
        let address: ServiceAddress
        do throws(PulsarClientError) {
          address = try ServiceAddress(url)
        } catch {
          let security = endpoint.target.address.isTLS ? "TLS " : ""
          return loop.makeFailedFuture(LinkError("it names no \(security)address for the owner of the topic"))
        }
        let owner =
          address == connection.address
          ? loop.makeSucceededFuture(connection) : connections.connection(to: address, options: endpoint.options)
        if response.response == .connect {
          return owner.flatMapThrowing { owner in
            try self.verify(owner)
            return owner
          }
        }
        guard attemptsLeft > 0 else { return loop.makeFailedFuture(LinkError("its lookup leads nowhere")) }
        return owner.flatMap { next in
          do { try self.verify(next) } catch { return loop.makeFailedFuture(error) }
          return self.lookUp(
            topic, at: next, isAuthoritative: response.authoritative, endpoint, connections,
            attemptsLeft: attemptsLeft - 1)
        }
      }
    }
  }

  /// Opens a stream as producer `producerID` on a connection.
  ///
  /// - Parameters:
  ///   - epoch: of the stream.
  ///   - partitions: of the partitioned topic that `topic` is a partition of; 0 if it is none.
  ///   - gaps: what the remote will never get, for its own record.
  /// - Returns: the position up to which the remote has everything; `nil` if it has nothing or does not say.
  func openStream(
    of topic: TopicName, partitions: Int, gaps: ReplicationGaps, producerID: UInt64, epoch: UInt64,
    on connection: PulsarConnection
  ) -> EventLoopFuture<OriginStamp?> {
    var command = ProtoCommandProducer()
    command.topic = topic.description
    command.producerID = producerID
    command.requestID = connection.makeID()
    command.producerName = "pulsar.repl.\(region)-->\(remote)"
    command.userProvidedProducerName = true
    if connection.peer != nil {
      command.meridianStream.region = region
      command.meridianStream.incarnation = incarnation
      command.meridianStream.epoch = epoch
      var properties: [(String, String)] = []
      if partitions > 0 { properties.append((ReplicatorStreamProperty.partitions, String(partitions))) }
      if gaps.count > 0 { properties.append((ReplicatorStreamProperty.gaps, gaps.text)) }
      command.metadata = properties.map { key, value in
        var pair = ProtoKeyValue()
        pair.key = key
        pair.value = value
        return pair
      }
    }
    return connection.request(
      ProtoBaseCommand(command), id: command.requestID, timeout: configuration.requestTimeout
    ).map { answer in
      let success = answer.producerSuccess
      return success.hasMeridianResume ? OriginStamp(success.meridianResume) : nil
    }
  }

  /// Registers a schema of a topic with the remote.
  ///
  /// - Returns: the version that it has there.
  func register(
    _ schema: SchemaDefinition, of topic: TopicName, on connection: PulsarConnection
  ) -> EventLoopFuture<ByteBuffer> {
    var command = ProtoCommandGetOrCreateSchema()
    command.requestID = connection.makeID()
    command.topic = topic.description
    command.schema.name = topic.partitionedTopic.localName
    command.schema.type = schema.type
    command.schema.schemaData = .init(schema.data)
    command.schema.properties = schema.properties.sorted { $0.key < $1.key }.map { key, value in
      var pair = ProtoKeyValue()
      pair.key = key
      pair.value = value
      return pair
    }
    return connection.request(
      ProtoBaseCommand(command), id: command.requestID, timeout: configuration.requestTimeout
    ).flatMapThrowing { answer in
      let response = answer.getOrCreateSchemaResponse
      guard !response.hasErrorCode else {
        throw PulsarClientError.broker(response.errorCode, response.errorMessage)
      }
      return ByteBuffer(bytes: response.schemaVersion)
    }
  }
}
