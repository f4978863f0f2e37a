import Broker

/// Adds up the samples of replicators to what is reported of links and namespaces.
enum LagAccount {
  /// What a link's report says, and its journal takes note of it.
  ///
  /// - Parameter loading: topics with a replicator on the link that are not loaded yet: of these nothing is known;
  ///     `nil` if that is not known either.
  static func link(
    to remote: String, _ samples: [ReplicatorSample], status: LinkStatus, loading: Int?, journal: inout LinkJournal,
    nowMs: Int64
  ) -> LinkLag {
    let total = figures(samples, loading: loading)
    let blocked = samples.filter(\.isBlocked)
    let roundTripMs = status.roundTrip.map { Double($0.nanoseconds) / 1e6 }
    let waiting = samples.filter { ($0.lag?.messages ?? 1) > 0 }
    let unknown =
      switch loading {
      case nil: "topics are still being looked for"
      case 0: "the backlog is being looked at"
      case let count?: "\(count) topics are still being loaded"
      }
    let observation = LinkVerdict.Observation(
      isUp: status.isUp, wasUp: status.wasUp, linkReason: status.reason, blockedTopics: blocked.count,
      blockedReason: blocked.first.map { "\($0.topic): \($0.reason)" } ?? "", lag: total,
      unknownReason: unknown,
      limiter: limiter(waiting), patience: 1 + 3 * (roundTripMs ?? 0) / 1000)
    let (state, reason) = journal.verdict.judge(observation, nowMs: nowMs)
    journal.note(state, reason, nowMs: nowMs)

    var lag = LinkLag(to: remote, state: state, reason: reason, sinceMs: journal.sinceMs, connected: status.isUp)
    lag.behindSeconds = total?.seconds
    lag.behindMessages = total?.messages
    lag.behindBytes = total?.bytes
    lag.rttMs = roundTripMs
    lag.clockSkewMs = status.clockSkewMs
    lag.topics = samples.count + (loading ?? 0)
    lag.blockedTopics = blocked.count
    lag.history = journal.history
    var records: [TopicGap] = []
    for sample in samples {
      lag.inBytesPerSecond += sample.enteredBytesPerSecond
      lag.inMessagesPerSecond += sample.enteredMessagesPerSecond
      lag.outBytesPerSecond += sample.sentBytesPerSecond
      lag.outMessagesPerSecond += sample.sentMessagesPerSecond
      lag.inFlightBytes += sample.inFlightBytes
      lag.windowBytes += sample.windowBytes
      lag.resentEntries += sample.resent
      lag.gaps += Int(clamping: sample.gaps.count)
      records += sample.gaps.records.map { TopicGap(topic: sample.topic.description, gap: $0) }
    }
    if !records.isEmpty {
      records.sort { $0.gap.recordedAtMs > $1.gap.recordedAtMs }
      lag.gapRecords = Array(records.prefix(LinkLag.maximumGapRecords))
    }
    lag.drainBytesPerSecond = journal.verdict.drainBytesPerSecond
    if let total {
      if total.messages == 0 {
        lag.etaSeconds = 0
      } else if lag.drainBytesPerSecond > 0 {
        lag.etaSeconds = Double(total.bytes) / lag.drainBytesPerSecond
      }
    }
    return lag
  }

  /// The namespaces of a link, by name.
  static func namespaces(to remote: String, _ samples: [ReplicatorSample]) -> [NamespaceLag] {
    Dictionary(grouping: samples) { $0.topic.namespace.description }
      .map { namespace, samples in
        let total = figures(samples, loading: 0)
        // What is not known is worse than anything that is.
        let worst = samples.max { a, b in (a.lag?.seconds ?? .infinity) < (b.lag?.seconds ?? .infinity) }
        let troubled = samples.first(where: \.isBlocked) ?? worst
        return NamespaceLag(
          namespace: namespace, to: remote, behindSeconds: total?.seconds, behindMessages: total?.messages,
          behindBytes: total?.bytes, worstTopic: worst?.topic.description, phase: troubled?.phase ?? .stopped,
          reason: troubled?.reason ?? "", topics: samples.count)
      }
      .sorted { $0.namespace < $1.namespace }
  }

  /// The oldest age and the sums; `nil` if one of them is not known, as the truth might be larger.
  private static func figures(_ samples: [ReplicatorSample], loading: Int?) -> LagState.Figures? {
    guard loading == 0 else { return nil }
    var total = LagState.Figures.none
    for sample in samples {
      guard let lag = sample.lag else { return nil }
      total.seconds = max(total.seconds, lag.seconds)
      total.messages += lag.messages
      total.bytes += lag.bytes
    }
    return total
  }

  /// What holds back the largest backlog.
  private static func limiter(_ waiting: [ReplicatorSample]) -> String {
    guard let worst = waiting.max(by: { ($0.lag?.bytes ?? 0) < ($1.lag?.bytes ?? 0) }) else { return "" }
    switch worst.phase {
    case .waitingForSchema: return "waits for a schema"
    case .connecting, .backingOff: return worst.reason.isEmpty ? "a stream is being opened" : worst.reason
    case .stopped: return worst.reason
    case .streaming:
      switch worst.limiter {
      case .none: return ""
      case .window: return "window full"
      case .connection: return "the connection takes no more"
      case .source: return "source read"
      }
    }
  }
}
