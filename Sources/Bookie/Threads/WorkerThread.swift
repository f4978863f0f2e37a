#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import NIOConcurrencyHelpers

/// A thread for work that blocks.
final class WorkerThread: Sendable {
  /// How much it may hold up other threads when processors are short.
  enum Priority {
    /// It comes first, where the system lets this process say so: it has little to do, and everybody waits for it.
    case urgent
    case ordinary
    /// It gives way.
    case background

    /// Linux counts niceness by thread.
    fileprivate var niceness: Int32 {
      switch self {
      case .urgent: -10
      case .ordinary: 0
      case .background: 5
      }
    }
  }

  private let done = ConditionLock<Bool>(value: false)

  /// Starts a thread that runs `body` once.
  init(name: String, priority: Priority = .ordinary, _ body: @escaping @Sendable () -> Void) {
    let done = self.done
    let box = Unmanaged.passRetained(
      Body {
        Self.setName(name)
        Self.take(priority)
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
      let descriptor = systemOpen("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return }
      let bytes = Array(name.utf8.prefix(15))
      _ = write(descriptor, bytes, bytes.count)
      close(descriptor)
    #endif
  }

  private static func take(_ priority: Priority) {
    #if os(Linux)
      if priority.niceness != 0 { _ = nice(priority.niceness) }
    #endif
  }

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
