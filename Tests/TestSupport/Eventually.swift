import NIOCore
import Testing

/// Waits until `condition` holds, asking it every few milliseconds, and records an issue when it does not within `limit`.
/// An error thrown by the condition counts as "not yet"; the last one is reported.
/// - Returns: whether the condition held in time.
@discardableResult
public func eventually(
  within limit: Duration = .seconds(30), _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation, isolation: isolated (any Actor)? = #isolation,
  _ condition: () async throws -> Bool
) async -> Bool {
  let clock = ContinuousClock()
  let deadline = clock.now + limit
  var pause = Duration.milliseconds(1)
  var lastError: (any Error)?
  while true {
    do {
      if try await condition() { return true }
      lastError = nil
    } catch {
      lastError = error
    }
    guard clock.now < deadline else { break }
    try? await Task.sleep(for: pause)
    pause = min(pause * 2, .milliseconds(25))
  }
  let detail = lastError.map { " Last error: \($0)." } ?? ""
  Issue.record(
    "The condition did not hold within \(limit).\(detail) \(comment.map(\.description) ?? "")",
    sourceLocation: sourceLocation)
  return false
}

/// Waits until `condition`, asked on `loop`, holds; for state that is confined to an event loop.
@discardableResult
public func eventually(
  on loop: any EventLoop, within limit: Duration = .seconds(30), _ comment: Comment? = nil,
  sourceLocation: SourceLocation = #_sourceLocation, _ condition: @escaping @Sendable () throws -> Bool
) async -> Bool {
  await eventually(within: limit, comment, sourceLocation: sourceLocation) {
    try await loop.submit { try condition() }.get()
  }
}
