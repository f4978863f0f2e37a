import Foundation
import GeoReplication
import Mesh

/// The demonstration behind `mesh up --demo`: the live lag of every region.
struct Demo {
  let status: MeshStatus
  let topologyFile: String
  let interrupt: Interrupt

  func run() async throws {
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
        terminal.draw(screen.lines)
        await interrupt.wait(atMost: .seconds(1))
      } else {
        print(screen.summary)
        fflush(nil)
        await interrupt.wait(atMost: .seconds(3))
      }
    }
    await fetcher.close()
  }
}
