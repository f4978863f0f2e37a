import NIOConcurrencyHelpers
import NIOCore

/// What a worker says at the end of a turn.
enum WorkerTurn: Equatable {
  /// Something was done, and there may be more to do now.
  case again
  /// Nothing was done, and there is nothing to do before a message or the time comes.
  case wait(until: NIODeadline?)
  /// Never again.
  case ended
}

/// Something that works in turns, on messages from a mailbox and at times of its own.
///
/// On a thread of its own a turn may block on a disk. Without threads a simulator calls the turns.
protocol StorageWorker: AnyObject, Sendable {
  associatedtype Message

  /// What it takes at the beginning of a turn.
  var mailbox: Mailbox<Message> { get }

  /// Takes messages and does some work. Never called twice at a time, unless the worker says that it may be.
  func turn() -> WorkerTurn
}

extension StorageWorker {
  fileprivate var hasMail: Bool { mailbox.hasMail }

  /// Takes turns until the end.
  fileprivate func run() {
    while true {
      switch turn() {
      case .again: continue
      case .wait(let due): mailbox.wait(until: due)
      case .ended: return
      }
    }
  }
}

/// The workers of a storage: threads, or none.
final class StorageWorkers: Sendable {
  /// A worker that has no thread. Touched by the one thread that steps.
  private final class Entry: @unchecked Sendable {
    let name: String
    let turn: @Sendable () -> WorkerTurn
    let hasMail: @Sendable () -> Bool
    /// Its last turn did something.
    var isBusy = true
    /// When it wants its next turn, if no message comes.
    var due: NIODeadline?
    var hasEnded = false

    init(_ name: String, turn: @escaping @Sendable () -> WorkerTurn, hasMail: @escaping @Sendable () -> Bool) {
      self.name = name
      self.turn = turn
      self.hasMail = hasMail
    }

    func take() {
      isBusy = false
      switch turn() {
      case .again: isBusy = true
      case .wait(let until): due = until
      case .ended: hasEnded = true
      }
    }
  }

  private let hasThreads: Bool
  private let threads = NIOLockedValueBox<[String: [WorkerThread]]>([:])
  private let stepped = NIOLockedValueBox<[Entry]>([])

  init(hasThreads: Bool) {
    self.hasThreads = hasThreads
  }

  /// Begins to give turns to a worker.
  /// - Parameters:
  ///   - priority: how its threads stand to others.
  ///   - count: number of threads; more than one only if its turns may overlap.
  func start(_ name: String, _ worker: any StorageWorker, priority: WorkerThread.Priority = .ordinary, count: Int = 1) {
    guard hasThreads else {
      let entry = Entry(name, turn: { worker.turn() }, hasMail: { worker.hasMail })
      return stepped.withLockedValue { $0.append(entry) }
    }
    let started = (0..<count).map { _ in WorkerThread(name: name, priority: priority) { worker.run() } }
    threads.withLockedValue { $0[name, default: []] += started }
  }

  /// Waits for the end of a worker that was told to end.
  func join(_ name: String) {
    threads.withLockedValue { $0.removeValue(forKey: name) }?.forEach { $0.join() }
    let left = stepped.withLockedValue { list in
      defer { list.removeAll { $0.name == name } }
      return list.filter { $0.name == name && !$0.hasEnded }
    }
    for entry in left {
      var turns = 0
      // Whatever it waits for besides its mailbox does not come any more.
      while entry.turn() != .ended, turns < 1_000_000 { turns += 1 }
    }
  }

  /// Gives turns to those that have messages, or whose time has come, until every worker waits. Returns when the first one
  /// wants its next, nil if none does.
  func step(now: NIODeadline) -> NIODeadline? {
    let entries = stepped.withLockedValue { $0 }
    var isAnyBusy = true
    while isAnyBusy {
      isAnyBusy = false
      for entry in entries where !entry.hasEnded {
        guard entry.isBusy || entry.hasMail() || entry.due.map({ $0 <= now }) == true else { continue }
        entry.take()
        isAnyBusy = isAnyBusy || entry.isBusy
      }
    }
    var due: NIODeadline?
    for entry in entries where !entry.hasEnded {
      if let next = entry.due { due = due.map { min($0, next) } ?? next }
    }
    return due
  }
}
