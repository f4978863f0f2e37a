import Broker
import GeoReplication
import TestSupport
import Testing

/// Two whole regions of which something fails under load.
@Suite(.serialized) struct FaultTests {
  /// Produces in both regions while `fault` runs, then expects everything everywhere, once and in order.
  private func underLoad(
    _ pair: GeoPair, _ name: String, messages: Int = 600, fault: @escaping @Sendable () async throws -> Void
  ) async throws {
    let topic = try GeoPair.topic(name)
    let producers = [
      TestProducer("app-us", to: topic, in: pair.us), TestProducer("app-eu", to: topic, in: pair.eu),
    ]
    try await withThrowingTaskGroup(of: Void.self) { group in
      for producer in producers {
        group.addTask {
          for _ in 0..<20 {
            try await producer.send(messages / 20, padding: 200)
            try await Task.sleep(for: .milliseconds(20))
          }
        }
      }
      group.addTask { try await fault() }
      try await group.waitForAll()
    }
    let expected = ["app-us": Array(0..<UInt64(messages)), "app-eu": Array(0..<UInt64(messages))]
    for region in [pair.us, pair.eu] {
      await eventually(within: .seconds(20)) { try await region.stored(topic).count >= 2 * messages }
      let stored = sequences(try await region.stored(topic))
      for (producer, all) in expected {
        #expect(stored[producer] == all, "\(producer) in \(region.name): \(stored[producer]?.count ?? 0)")
      }
    }
    await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
  }

  @Test func linksThatBreakAtAnyMoment() async throws {
    try await GeoPair.with { pair in
      try await underLoad(pair, "breaks") {
        for _ in 0..<10 {
          try await Task.sleep(for: .milliseconds(Int.random(in: 5...80)))
          try await (Bool.random() ? pair.toEU : pair.toUS).reset()
        }
      }
    }
  }

  @Test func aDestinationThatRestarts() async throws {
    try await GeoPair.with { pair in
      try await underLoad(pair, "destination") {
        for _ in 0..<2 {
          try await Task.sleep(for: .milliseconds(150))
          try await pair.eu.stop()
          try await Task.sleep(for: .milliseconds(100))
          try await pair.eu.start()
        }
      }
    }
  }

  @Test func aSourceThatRestarts() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("source")
      let producer = TestProducer("app", to: topic, in: pair.us)
      // What waits when the source stops goes out when it is back, though no client asks for the topic any more.
      try await pair.toEU.setRefusing(true)
      try await pair.toEU.reset()
      try await producer.send(100)
      try await pair.us.stop()
      try await pair.toEU.setRefusing(false)
      try await pair.us.start()
      await eventually(within: .seconds(20)) { try await pair.eu.stored(topic).count == 100 }
      #expect(sequences(try await pair.eu.stored(topic)) == ["app": Array(0..<100)])
    }
  }

  @Test func lagGrowsWithTheClockWhileTheRemoteIsAwayAndTheReasonIsSaid() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("lag")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(10)
      await eventually { try await pair.eu.stored(topic).count == 10 }
      // Stored there is not yet confirmed here: the silence must not swallow the confirmation of the first ten.
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
      try await pair.toEU.setSilent(true)
      try await producer.send(20)
      let sent = ContinuousClock.now
      await eventually { await pair.link(from: pair.us)?.state == .down }
      let down = await pair.link(from: pair.us)
      #expect(down?.reason.contains("no answer from eu (127.0.0.1:\(pair.toEU.port)) for 2 s") == true)
      #expect(down?.connected == false)
      #expect(down?.behindMessages == 20)
      let age = (ContinuousClock.now - sent) / .seconds(1)
      #expect((down?.behindSeconds ?? 0) >= age - 0.5)
      await eventually { (await pair.link(from: pair.us)?.behindSeconds ?? 0) > (down?.behindSeconds ?? 0) + 0.5 }
      try await pair.toEU.setSilent(false)
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
      #expect(sequences(try await pair.eu.stored(topic)) == ["app": Array(0..<30)])
      let states = await pair.link(from: pair.us)?.history.map(\.state) ?? []
      #expect(states.contains(.down))
    }
  }

  @Test func anEntryThatTheRemoteDoesNotTakeStopsItsTopicAndNoOther() async throws {
    try await GeoPair.with(configureEU: { $0.maxMessageSize = 20_000 }) { pair in
      let blocked = try GeoPair.topic("blocked")
      let free = try GeoPair.topic("free")
      let producer = TestProducer("app", to: blocked, in: pair.us)
      try await producer.send(3)
      try await producer.send(1, padding: 50_000)
      try await producer.send(3)
      try await TestProducer("app", to: free, in: pair.us).send(50)
      await eventually { try await pair.eu.stored(free).count == 50 }
      await eventually { await pair.link(from: pair.us)?.state == .blocked }
      let link = await pair.link(from: pair.us)
      #expect(link?.reason.contains("eu takes 20000") == true)
      #expect(link?.blockedTopics == 1)
      #expect(link?.behindMessages == 4)
      #expect(try await pair.eu.stored(blocked).map(\.sequence) == [0, 1, 2])
    }
  }

  @Test func anAddressThatChangesIsFollowed() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("address")
      try await pair.us.know(pair.eu, through: pair.toEU.port, listening: 1)
      // The record is wrong: the name is verified, and the relay leads to the broker; then it is right again.
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await pair.us.know(pair.eu)
      try await producer.send(10)
      await eventually { try await pair.eu.stored(topic).count == 10 }
      try await pair.toEU.stop()
      try await producer.send(10)
      await eventually { try await pair.eu.stored(topic).count == 20 }
    }
  }
}
