#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import NIOConcurrencyHelpers
import NIOCore

/// A thread for work that blocks.
final class WorkerThread: Sendable {
  private let done = ConditionLock<Bool>(value: false)

  /// Starts a thread that runs `body` once.
  init(name: String, _ body: @escaping @Sendable () -> Void) {
    let done = self.done
    let box = Unmanaged.passRetained(
      Body {
        Self.setName(name)
        body()
        done.lock()
        done.unlock(withValue: true)
      })
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let result = pthread_create(
      &thread, nil,
      { argument in
        #if canImport(Darwin)
          Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        #else
          if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        #endif
        return nil
      }, box.toOpaque())
    precondition(result == 0, "The system refuses to start a thread.")
    #if canImport(Darwin)
      if let thread { pthread_detach(thread) }
    #else
      pthread_detach(thread)
    #endif
  }

  /// Blocks until the body has returned.
  func join() {
    done.lock(whenValue: true)
    done.unlock()
  }

  /// Shows the name in tools such as top.
  private static func setName(_ name: String) {
    #if os(Linux)
      let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return }
      let bytes = Array(name.utf8.prefix(15))
      _ = write(descriptor, bytes, bytes.count)
      close(descriptor)
    #endif
  }

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}

/// A queue that hands over everything in it at once: one lock per batch on both sides.
final class Mailbox<Element>: @unchecked Sendable {
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

  /// Everything queued, at most `limit`. Blocks while it is empty, until `deadline` if there is one.
  /// - Returns: the elements, none after a timeout; nil when closed and empty.
  func take(limit: Int = .max, until deadline: NIODeadline? = nil) -> [Element]? {
    if let deadline {
      let seconds = Double((deadline - .now()).nanoseconds) / 1e9
      guard lock.lock(whenValue: true, timeoutSeconds: max(0, seconds)) else { return [] }
    } else {
      lock.lock(whenValue: true)
    }
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
