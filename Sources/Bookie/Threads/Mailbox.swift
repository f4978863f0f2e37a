import NIOConcurrencyHelpers
import NIOCore

/// A queue that hands over everything in it at once: one lock per batch on both sides.
final class Mailbox<Element>: @unchecked Sendable {
  /// Its value says whether the taker has something to do: elements, or the end.
  private let lock = ConditionLock<Bool>(value: false)
  private var elements: [Element] = []
  private var isClosed = false

  /// Adds an element and wakes the taker. Returns false, and drops it, once closed.
  @discardableResult
  func push(_ element: Element) -> Bool {
    lock.lock()
    guard !isClosed else {
      lock.unlock(withValue: true)
      return false
    }
    elements.append(element)
    lock.unlock(withValue: true)
    return true
  }

  /// Number of elements waiting.
  var count: Int {
    lock.lock()
    defer { lock.unlock() }
    return elements.count
  }

  /// Whether there is something to take: elements, or the end.
  var hasMail: Bool {
    lock.lock()
    defer { lock.unlock() }
    return isClosed || !elements.isEmpty
  }

  /// Blocks until there is something to take, it is closed, or the time has come.
  func wait(until deadline: NIODeadline?) {
    guard let deadline else {
      lock.lock(whenValue: true)
      return lock.unlock()
    }
    let seconds = Double((deadline - .now()).nanoseconds) / 1e9
    if seconds > 0, lock.lock(whenValue: true, timeoutSeconds: seconds) { lock.unlock() }
  }

  /// Takes everything queued, at most `limit`, without waiting.
  /// - Returns: the elements, none if there are none; nil when closed and empty.
  func take(limit: Int = .max) -> [Element]? {
    lock.lock()
    if elements.isEmpty {
      lock.unlock(withValue: isClosed)
      return isClosed ? nil : []
    }
    let taken: [Element]
    if elements.count <= limit {
      taken = elements
      elements = []
    } else {
      taken = Array(elements.prefix(limit))
      elements.removeFirst(limit)
    }
    lock.unlock(withValue: isClosed || !elements.isEmpty)
    return taken
  }

  /// Refuses further elements; the taker gets what is queued and then nil.
  func close() {
    lock.lock()
    isClosed = true
    lock.unlock(withValue: true)
  }
}
