import Foundation
import Testing

@testable import MetadataStore

@Suite struct EtcdWatchPositionTests {
  private let root = Array("/r/records".utf8)

  private func response(revision: Int64, cluster: UInt64 = 1, created: Bool = false) -> EtcdWatchResponse {
    var response = EtcdWatchResponse()
    response.header.revision = revision
    response.header.clusterID = cluster
    response.created = created
    return response
  }

  private func events(_ revisions: [Int64]) -> EtcdWatchResponse {
    var response = response(revision: 1000)
    response.events = revisions.map {
      var event = EtcdEvent()
      event.kv.key = Data("/r/records/k\($0)".utf8)
      event.kv.modRevision = $0
      return event
    }
    return response
  }

  @Test func goesOnBehindWhatWasSeen() {
    var position = EtcdWatchPosition(root: root)
    #expect(position.startRevision == 0)
    #expect(position.receive(response(revision: 10, created: true)) == .created)
    #expect(position.startRevision == 11)
    let first = position.receive(events([12, 13]))
    #expect(
      first
        == .events([12, 13].map { MetadataEvent(kind: .put, key: "/k\($0)", version: MetadataVersion(rawValue: $0)) }))
    // The header is ahead of the events while a watch catches up.
    #expect(position.startRevision == 14)
    #expect(position.receive(response(revision: 20, created: true)) == .created)
    #expect(position.startRevision == 14)
    guard case .events(let repeated) = position.receive(events([13, 14])) else { return #expect(Bool(false)) }
    #expect(repeated.map(\.version.rawValue) == [14])
  }

  @Test func endsWhenChangesMayBeMissing() {
    var position = EtcdWatchPosition(root: root)
    _ = position.receive(response(revision: 10, created: true))
    var compacted = response(revision: 30)
    compacted.canceled = true
    compacted.compactRevision = 25
    for answer in [compacted, response(revision: 9, created: true), response(revision: 11, cluster: 2, created: true)] {
      var copy = position
      guard case .broken = copy.receive(answer) else {
        Issue.record("It goes on after \(answer).")
        continue
      }
    }
    var canceled = response(revision: 30)
    canceled.canceled = true
    canceled.cancelReason = "no leader"
    #expect(position.receive(canceled) == .interrupted("no leader"))
  }
}
