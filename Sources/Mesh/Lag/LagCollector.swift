import GeoReplication

/// Asks every region of a mesh for its lag at the same time, and remembers the last answer of each.
public actor LagCollector {
  /// A region to ask.
  public struct Target: Sendable, Equatable {
    /// Its name, if it is known before it answered.
    public var name: String?
    /// Its admin address.
    public var adminURL: String

    /// A region with its address.
    public init(name: String?, adminURL: String) {
      self.name = name
      self.adminURL = adminURL
    }
  }

  /// The last answer of a region, and when it came.
  public struct Memory: Codable, Sendable {
    /// By admin address.
    public var reports: [String: LagReport] = [:]
    /// When each came, in milliseconds since 1970 by the asking machine's clock.
    public var receivedAtMs: [String: Int64] = [:]

    /// No answer yet.
    public init() {}
  }

  private let targets: [Target]
  private let budget: Duration
  private let fetch: @Sendable (Target) async throws -> LagReport
  /// What was heard so far: keep it to show old figures with their age in a later run.
  public private(set) var memory: Memory
  /// When answers came, by a clock that nobody sets.
  private var heardAt: [String: ContinuousClock.Instant] = [:]

  /// A collector.
  ///
  /// - Parameters:
  ///   - targets: the regions.
  ///   - budget: how long all of them together may take.
  ///   - memory: what an earlier collector heard.
  ///   - fetch: asks one region.
  public init(
    targets: [Target], budget: Duration = .milliseconds(500), memory: Memory = Memory(),
    fetch: @escaping @Sendable (Target) async throws -> LagReport
  ) {
    self.targets = targets
    self.budget = budget
    self.memory = memory
    self.fetch = fetch
  }

  /// Asks all regions, and returns what they said within the budget.
  public func collect(nowMs: @Sendable () -> Int64) async -> MeshLag {
    let asked = nowMs()
    let answers = await askAll()
    let asOf = nowMs()
    var lag = MeshLag(asOfMs: asked, regions: [], links: [], namespaces: [])
    for (index, target) in targets.enumerated() {
      let answered: Bool
      var problem: String?
      switch answers[index] {
      case .success(let report):
        answered = true
        memory.reports[target.adminURL] = report
        memory.receivedAtMs[target.adminURL] = asOf
        heardAt[target.adminURL] = .now
      case .failure(let failure):
        answered = false
        problem = failure.sentence
      case nil:
        answered = false
        problem = "no answer within \(budget.milliseconds) ms"
      }
      let report = memory.reports[target.adminURL]
      let since = heardAt[target.adminURL].map { $0.duration(to: .now).milliseconds } ?? 0
      let age = memory.receivedAtMs[target.adminURL].map { answered ? 0 : Double(max(since, asOf - $0)) / 1000 }
      let name = report?.region ?? target.name ?? target.adminURL
      lag.regions.append(
        .init(name: name, adminUrl: target.adminURL, answered: answered, problem: problem, ageSeconds: age))
      guard let report, let age else { continue }
      lag.links += report.links.map { .init(from: name, isCurrent: answered, ageSeconds: age, lag: $0) }
      lag.namespaces += report.namespaces.map { .init(from: name, isCurrent: answered, lag: $0) }
    }
    lag.namespaces.sort {
      ($0.lag.behindSeconds ?? .infinity, $0.lag.behindBytes ?? 0) > (
        $1.lag.behindSeconds ?? .infinity, $1.lag.behindBytes ?? 0
      )
    }
    return lag
  }

  private struct Failure: Error {
    var sentence: String
  }

  private func askAll() async -> [Result<LagReport, Failure>?] {
    let targets = self.targets
    let fetch = self.fetch
    let budget = self.budget
    return await withTaskGroup(of: (Int, Result<LagReport, Failure>)?.self) { group in
      for (index, target) in targets.enumerated() {
        group.addTask {
          do {
            return (index, .success(try await fetch(target)))
          } catch {
            return (index, .failure(Failure(sentence: "\(error)")))
          }
        }
      }
      group.addTask {
        try? await Task.sleep(for: budget)
        return nil
      }
      var answers = [Result<LagReport, Failure>?](repeating: nil, count: targets.count)
      var missing = targets.count
      while missing > 0, let next = await group.next() {
        guard let (index, answer) = next else { break }
        answers[index] = answer
        missing -= 1
      }
      group.cancelAll()
      return answers
    }
  }
}

extension Duration {
  fileprivate var milliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
