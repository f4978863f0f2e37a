import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import PulsarWire
import Testing

@testable import Broker

/// Counts the reads that reach the socket.
private final class ReadCounter: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  var reads = 0

  func read(context: ChannelHandlerContext) {
    reads += 1
    context.read()
  }
}

/// A session on a channel of its own, as if a client were at the other end.
private struct SessionFixture {
  let channel = EmbeddedChannel()
  let session: ClientSession
  let counter = ReadCounter()

  init(_ broker: Broker) throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    session = ClientSession(broker: broker, eventLoop: channel.eventLoop, isTLS: false, logger: logger)
    try channel.pipeline.syncOperations.addHandlers(counter, session)
    channel.pipeline.fireChannelActive()
    var connect = ProtoCommandConnect()
    connect.clientVersion = "test"
    connect.protocolVersion = 20
    try receive(ProtoBaseCommand(connect))
    _ = answers()
  }

  func receive(_ command: ProtoBaseCommand) throws {
    var buffer = ByteBuffer()
    try PulsarFrameEncoder.encode(command, into: &buffer)
    try channel.writeInbound(buffer)
  }

  func ping() throws {
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encodePing(into: &buffer)
    try channel.writeInbound(buffer)
  }

  /// The frames that were written since the last call.
  func answers() -> Int {
    var count = 0
    while (try? channel.readOutbound(as: ByteBuffer.self)) != nil { count += 1 }
    return count
  }

  func setWritable(_ isWritable: Bool) {
    channel.isWritable = isWritable
    channel.pipeline.fireChannelWritabilityChanged()
  }

  /// Whether a read reaches the socket now.
  func reads() -> Bool {
    let before = counter.reads
    channel.read()
    return counter.reads > before
  }

  /// Runs what was scheduled on the loop.
  func run() { channel.embeddedEventLoop.run() }

  func end() { _ = try? channel.finish() }
}

@Suite(.serialized) struct ClientSessionTests {
  @Test func aClientThatDoesNotReadIsNotRead() async throws {
    try await TestRegion.with { region in
      let client = try SessionFixture(region.broker)
      defer { client.end() }
      #expect(client.reads())
      client.setWritable(false)
      #expect(!client.reads())
      // What the socket brought in before it heard of it waits, unanswered.
      try client.ping()
      try client.ping()
      #expect(client.answers() == 0)
      let before = client.counter.reads
      client.setWritable(true)
      #expect(client.answers() == 2)
      #expect(client.counter.reads == before + 1, "the read that was owed is made")
      #expect(client.reads())
    }
  }

  @Test func requestsUnderWayAreBounded() async throws {
    try await TestRegion.with {
      $0.maxPendingRequestsPerConnection = 4
    } _: { region in
      let client = try SessionFixture(region.broker)
      defer { client.end() }
      for _ in 0..<3 { client.session.requestBegan() }
      #expect(client.reads())
      client.session.requestBegan()
      #expect(!client.reads())
      client.session.requestEnded()
      #expect(!client.reads())
      client.session.requestEnded()
      #expect(client.reads())
    }
  }

  @Test func oneConnectionWaitsForTheBuffersOfAllOthers() async throws {
    try await TestRegion.with {
      $0.maxMessagePublishBufferSize = 1000
    } _: { region in
      let client = try SessionFixture(region.broker)
      defer { client.end() }
      region.broker.publishBuffer.change(by: 1000)
      try client.ping()
      #expect(client.reads(), "it has published nothing itself")
      client.session.pending.add(bytes: 10)
      try client.ping()
      #expect(!client.reads())
      #expect(region.broker.publishBuffer.bytes == 1010)
      region.broker.publishBuffer.change(by: -400)
      client.run()
      #expect(!client.reads(), "half of it must be free")
      region.broker.publishBuffer.change(by: -200)
      client.run()
      #expect(client.reads())
      // What is settled after the connection has ended counts no less.
      let pending = client.session.pending
      client.end()
      pending.settle([
        PublishReply(producerID: 1, life: 1, outcome: .silent, settled: 1, settledBytes: 10)
      ])
      #expect(region.broker.publishBuffer.bytes == 400)
    }
  }

  @Test func whatIsSaidOfAnEarlierProducerDoesNotConcernALaterOneOfItsID() async throws {
    try await TestRegion.with { region in
      let client = try SessionFixture(region.broker)
      defer { client.end() }
      let session = client.session
      session.producers[1] = .opening(life: 2, requestID: 9, isCancelled: false)
      session.receive([
        PublishReply(producerID: 1, life: 1, outcome: .closedByBroker),
        PublishReply(producerID: 1, life: 1, outcome: .failed(sequenceID: 1, .persistenceError, "no")),
      ])
      #expect(client.answers() == 0)
      #expect(session.producers[1]?.life == 2)
      session.receive([PublishReply(producerID: 1, life: 1, outcome: .closedByClient(requestID: 7))])
      #expect(client.answers() == 1, "its client waits for this one")
      #expect(session.producers[1]?.life == 2)
      session.receive([PublishReply(producerID: 1, life: 2, outcome: .ready(requestID: 9, topicEpoch: 4))])
      #expect(session.earlyReady == [2: 4], "it is told with the answer to its request")
      session.receive([PublishReply(producerID: 1, life: 2, outcome: .closedByBroker)])
      #expect(client.answers() == 1, "the request for the new producer fails")
      #expect(session.producers[1] == nil)
    }
  }

  @Test func whoIsTooFarAheadOfTopicsWaits() {
    var pace = OutboxPace()
    var marks = [pace.sent(10), pace.sent(OutboxPace.limit)]
    #expect(marks == [false, true] && !pace.isBehind)
    marks = [pace.sent(OutboxPace.limit)]
    #expect(marks == [false] && !pace.isBehind)
    marks = [pace.sent(1)]
    #expect(marks == [false] && pace.isBehind)
    marks = [pace.reached()]
    #expect(marks == [true] && !pace.isBehind, "what was sent since gets a mark at once")
    marks = [pace.reached()]
    #expect(marks == [false])
  }

  @Test func lookupsBeyondTheLimitAreRefused() {
    let limit = RequestLimit(2)
    #expect(limit.begin() && limit.begin() && !limit.begin())
    limit.end()
    #expect(limit.begin() && !limit.begin())
    let none = RequestLimit(0)
    #expect((0..<100).allSatisfy { _ in none.begin() })
  }
}
