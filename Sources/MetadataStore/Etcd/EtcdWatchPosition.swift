/// Where a watch stands, so that it can be taken up again on another connection without a gap or a repetition.
struct EtcdWatchPosition {
  /// What an answer of the cluster means.
  enum Step: Equatable {
    /// The watch is in force.
    case created
    /// Changes, in order.
    case events([MetadataEvent])
    /// The stream ends, and the watch can be taken up again.
    case interrupted(String)
    /// What happened meanwhile can no longer be known.
    case broken(String)
  }

  private let root: [UInt8]
  private var cluster: UInt64?
  /// Everything up to this revision was reported, or lies before the watch.
  private(set) var revision: Int64 = 0

  init(root: [UInt8]) {
    self.root = root
  }

  /// The first revision that is still to be reported; 0: what comes after the request.
  var startRevision: Int64 { cluster == nil ? 0 : revision + 1 }

  mutating func receive(_ response: EtcdWatchResponse) -> Step {
    if response.compactRevision != 0 {
      return .broken("changes up to revision \(response.compactRevision) are compacted")
    }
    if response.canceled { return .interrupted(response.cancelReason) }
    if response.created {
      guard let cluster else {
        cluster = response.header.clusterID
        revision = response.header.revision
        return .created
      }
      guard cluster == response.header.clusterID else { return .broken("another cluster answers") }
      guard response.header.revision >= revision else { return .broken("the cluster was set back to an older state") }
      return .created
    }
    var events: [MetadataEvent] = []
    let last = revision
    for event in response.events where event.kv.modRevision > last {
      revision = max(revision, event.kv.modRevision)
      guard event.kv.key.starts(with: root) else { continue }
      events.append(
        MetadataEvent(
          kind: event.type == .delete ? .delete : .put,
          key: String(decoding: event.kv.key.dropFirst(root.count), as: UTF8.self),
          version: MetadataVersion(rawValue: event.kv.modRevision)))
    }
    return .events(events)
  }
}
