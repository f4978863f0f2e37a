import Foundation
import GeoReplication
import Mesh
import NIOConcurrencyHelpers
import PulsarClient

/// The demonstration behind `mesh up --demo`: a paced producer and a consumer in every region, and the live lag.
struct Demo {
  private static let messagesPerSecond = 50.0

  let status: MeshStatus
  let topologyFile: String
  let interrupt: Interrupt

  init(status: MeshStatus, topologyFile: String, interrupt: Interrupt) {
    self.status = status
    self.topologyFile = topologyFile
    self.interrupt = interrupt
  }

  func run() async throws {
    let topic = try findTopic()
    let regions = try status.regions.map { try DemoRegion(name: $0.name, serviceURL: $0.pulsarUrl, topic: topic) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for region in regions {
        group.addTask { try await region.produce(rate: Self.messagesPerSecond, until: interrupt) }
        group.addTask { try await region.consume() }
      }
      group.addTask {
        await show(topic, regions)
        for region in regions { await region.close() }
      }
      do {
        try await group.waitForAll()
      } catch {
        interrupt.set()
        for region in regions { await region.close() }
        throw error
      }
    }
  }

  /// `created` in the first namespace that is replicated.
  private func findTopic() throws -> String {
    let text: String
    do {
      text = try String(contentsOfFile: topologyFile, encoding: .utf8)
    } catch {
      throw CommandFailure("\(topologyFile) cannot be read: \(error.localizedDescription)")
    }
    let topology = try TopologyFile.parse(text, file: topologyFile)
    guard let namespace = topology.namespaces.first(where: { $0.regions.count > 1 }) else {
      throw CommandFailure("\(topologyFile) replicates no namespace: there is nothing to demonstrate")
    }
    return "persistent://\(namespace.name)/created"
  }

  private func show(_ topic: String, _ regions: [DemoRegion]) async {
    let fetcher = LagFetcher()
    let targets = status.regions.map { LagCollector.Target(name: $0.name, adminURL: $0.adminUrl) }
    let collector = LagCollector(targets: targets) { try await fetcher.fetch($0) }
    let terminal = Terminal(isInteractive: Terminal.isOutputTerminal)
    terminal.enter()
    defer { terminal.leave() }
    while !interrupt.isSet {
      let lag = await collector.collect(nowMs: Clock.nowMs)
      let style = LagScreen.Style(color: terminal.isInteractive, unicode: true)
      let screen = LagScreen(lag: lag, verdict: lag.verdict(warning: 5, critical: 30), style: style)
      if terminal.isInteractive {
        terminal.draw(
          ["meridian demo   \(topic)   as of \(Clock.timeOfDay())   Ctrl-C ends", ""]
            + table(regions) + [""] + screen.lines)
        await interrupt.wait(atMost: .seconds(1))
      } else {
        let counts = regions.map { region in
          let counts = region.counts
          return "\(region.name) out \(counts.produced) in \(counts.consumedLocal)+\(counts.consumedRemote)"
        }
        print("\(Clock.timeOfDay())  \(counts.joined(separator: "  "))  \(screen.summary)")
        fflush(nil)
        await interrupt.wait(atMost: .seconds(3))
      }
    }
    await fetcher.close()
  }

  private func table(_ regions: [DemoRegion]) -> [String] {
    var table = Table([
      ("REGION", .left), ("PRODUCED", .right), ("CONSUMED LOCAL", .right), ("FROM OTHER REGIONS", .right),
      ("FAILED", .right),
    ])
    for region in regions {
      let counts = region.counts
      table.add(
        region.name, String(counts.produced), String(counts.consumedLocal), String(counts.consumedRemote),
        String(counts.failed))
    }
    return table.lines
  }
}

/// The producer and the consumer of one region.
private final class DemoRegion: Sendable {
  struct Counts {
    var produced = 0
    var failed = 0
    var consumedLocal = 0
    var consumedRemote = 0
  }

  let name: String
  private let topic: String
  private let client: PulsarClient
  private let state = NIOLockedValueBox(Counts())

  init(name: String, serviceURL: String, topic: String) throws {
    self.name = name
    self.topic = topic
    client = try PulsarClient(serviceURL: serviceURL)
  }

  var counts: Counts { state.withLockedValue { $0 } }

  func produce(rate: Double, until interrupt: Interrupt) async throws {
    var configuration = ProducerConfiguration()
    configuration.name = "demo-\(name)-\(Clock.nowMs())"
    do {
      let producer = try await client.producer(topic: topic, configuration: configuration)
      var pacer = Pacer(rate: rate)
      var number = 0
      while !interrupt.isSet {
        let pause = pacer.next() - .now
        if pause > .zero { try await Task.sleep(for: pause) }
        number += 1
        let message = Message("{\"order\":\(number),\"region\":\"\(name)\"}", key: "customer-\(number % 16)")
        // A region that cannot take it for a while shows as FAILED, and does not stop the demonstration.
        let isTaken = producer.enqueue(message) { [self] result in
          state.withLockedValue { counts in
            if case .success = result { counts.produced += 1 } else { counts.failed += 1 }
          }
        }
        if !isTaken { state.withLockedValue { $0.failed += 1 } }
      }
    } catch PulsarClientError.closed {
      return
    } catch let error as PulsarClientError {
      throw CommandFailure("region \(name): \(error)")
    }
  }

  func consume() async throws {
    var configuration = ConsumerConfiguration()
    configuration.subscriptionType = .shared
    do {
      let consumer = try await client.consumer(topic: topic, subscription: "demo", configuration: configuration)
      while true {
        let messages = try await consumer.receive(atMost: 100)
        for message in messages { consumer.acknowledge(message) }
        let remote = messages.count { $0.replicatedFrom != nil }
        state.withLockedValue { counts in
          counts.consumedRemote += remote
          counts.consumedLocal += messages.count - remote
        }
      }
    } catch PulsarClientError.closed {
      return
    } catch let error as PulsarClientError {
      throw CommandFailure("region \(name): \(error)")
    }
  }

  func close() async {
    await client.close()
  }
}
