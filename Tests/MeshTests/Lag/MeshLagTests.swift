import GeoReplication
import Testing

@testable import Mesh

@Suite struct MeshLagTests {
  private func lag(_ state: LinkLag.State, waiting: UInt64) -> MeshLag {
    var link = LinkLag(to: "eu", state: state, reason: "", sinceMs: 0, connected: state != .down)
    link.behindSeconds = 1
    link.behindMessages = waiting
    let namespace = NamespaceLag(
      namespace: "demo/orders", to: "eu", behindSeconds: 1, behindMessages: waiting, behindBytes: waiting,
      worstTopic: nil, phase: .backingOff, reason: "", topics: 1)
    return MeshLag(
      asOfMs: 1, regions: [.init(name: "us", adminUrl: "http://us:8080", answered: true, problem: nil, ageSeconds: 0)],
      links: [.init(from: "us", isCurrent: true, ageSeconds: 0, lag: link)],
      namespaces: [.init(from: "us", isCurrent: true, lag: namespace)])
  }

  /// A check of one namespace must not find well what a check of its link finds critical.
  @Test(arguments: [false, true])
  func dataThatWaitOnALinkThatIsDownAreCritical(onlyNamespaces: Bool) {
    func verdict(_ lag: MeshLag) -> MeshLag.Verdict {
      lag.verdict(warning: 5, critical: 30, onlyNamespaces: onlyNamespaces)
    }
    #expect(verdict(lag(.down, waiting: 3)) == .critical)
    #expect(verdict(lag(.down, waiting: 0)) == .ok)
    #expect(verdict(lag(.behind, waiting: 3)) == .ok)
  }
}
