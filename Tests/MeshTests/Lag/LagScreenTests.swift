import Broker
import GeoReplication
import Testing

@testable import Mesh

@Suite struct LagScreenTests {
  private func lag(answered: Bool) -> MeshLag {
    var figures = LinkLag(to: "eu", state: .ok, reason: "", sinceMs: 0, connected: true)
    figures.behindSeconds = 0
    figures.behindMessages = 0
    figures.behindBytes = 0
    figures.rttMs = 75
    let region = MeshLag.Region(
      name: "us", adminUrl: "http://us:8080", answered: answered, problem: answered ? nil : "no answer",
      ageSeconds: answered ? 0 : 52)
    let link = MeshLag.Link(from: "us", isCurrent: answered, ageSeconds: answered ? 0 : 52, lag: figures)
    return MeshLag(asOfMs: 1, regions: [region], links: [link], namespaces: [])
  }

  private func lastLine(_ lag: MeshLag) -> String? {
    let screen = LagScreen(
      lag: lag, verdict: lag.verdict(warning: 5, critical: 30), style: .init(color: false, unicode: false))
    return screen.lines.last
  }

  @Test func aLinkThatIsKnownShowsItsFigures() throws {
    let row = try #require(lastLine(lag(answered: true)))
    #expect(
      row.split(separator: " ").map(String.init) == [
        "us->eu", "ok", "0.00s", "0", "0B", "0.0->0.0", "0.0", "-", "75ms", "0B/0B",
      ])
  }

  @Test func aLinkThatHasGapsListsThem() throws {
    var lag = lag(answered: true)
    lag.links[0].lag.gaps = 3
    lag.links[0].lag.gapRecords = [
      TopicGap(
        topic: "persistent://demo/orders/created",
        gap: ReplicationGap(
          fromLedgerId: 4, fromEntryId: 5, throughLedgerId: 6, throughEntryId: 7, recordedAtMs: 1_700_000_000_000))
    ]
    let screen = LagScreen(lag: lag, verdict: .ok, style: .init(color: false, unicode: false))
    #expect(
      screen.lines.suffix(2) == [
        "eu lacks messages of us for good, which both have lost: 3 gaps, the last 1",
        "  persistent://demo/orders/created  behind 4:5 through 6:7  found 2023-11-14T22:13:20.000Z",
      ])
  }

  /// The last known figures are told with their age; no column shows them as if they were true now.
  @Test func aLinkWhoseSourceIsSilentHasNoFigures() throws {
    let silent = lag(answered: false)
    #expect(silent.verdict(warning: 5, critical: 30) == .unknown)
    let row = try #require(lastLine(silent))
    let columns = row.split(separator: " ").map(String.init)
    #expect(columns.prefix(10) == ["us->eu", "unknown", "?", "?", "?", "?", "?", "?", "?", "?"])
    #expect(columns.dropFirst(10).joined(separator: " ") == "last known 52.0s ago: 0.00s behind, 0 messages")
  }
}
