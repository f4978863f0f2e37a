import Foundation
import TestSupport
import Testing

@testable import RocksDB

@Suite("RocksDB: a handle that is replaced", .timeLimit(.minutes(2)))
struct ReopeningTests {
  /// Reads and iterates on threads of its own until it is told to stop.
  private final class Readers: @unchecked Sendable {
    private let lock = NSLock()
    private let done = DispatchGroup()
    private var isStopped = false
    private var failures: [String] = []
    private var rounds = 0

    /// Calls `body` again and again on each of `count` threads.
    init(_ count: Int, _ body: @escaping @Sendable () throws -> String?) {
      for _ in 0..<count {
        done.enter()
        Thread { [self] in
          while !lock.withLock({ isStopped }) {
            let failure: String?
            do { failure = try body() } catch { failure = "\(error)" }
            lock.withLock {
              rounds += 1
              if let failure { failures.append(failure) }
            }
          }
          done.leave()
        }.start()
      }
    }

    /// Rounds so far.
    var count: Int { lock.withLock { rounds } }

    /// Whether there have been so many rounds within ten seconds.
    func reach(_ goal: Int) -> Bool {
      let deadline = Date(timeIntervalSinceNow: 10)
      while count < goal, Date() < deadline { Thread.sleep(forTimeInterval: 0.001) }
      return count >= goal
    }

    /// What went wrong, when all of them have ended.
    func stop() -> [String] {
      lock.withLock { isStopped = true }
      done.wait()
      return lock.withLock { failures }
    }
  }

  private static let keys = UInt8(200)

  private func filled(_ path: String) throws -> RocksDatabase {
    let database = try RocksDatabase(path: path)
    for key in 0..<Self.keys { try database.put([1, key], [key], .synced) }
    return database
  }

  /// Every key by itself, and all of them in order.
  private static func readAll(_ database: RocksDatabase) throws -> String? {
    for key in 0..<keys where try database.get([1, key]) != [key] { return "Key \(key) has another value." }
    var seen: [UInt8] = []
    try database.forEach(prefix: [1]) { key, value in
      if key[1] == value[0] { seen.append(key[1]) }
      return true
    }
    return seen == Array(0..<keys) ? nil : "An iterator saw \(seen.count) keys."
  }

  private func wound(_ database: RocksDatabase) {
    database.writing.withLock { database.wound = RocksError("A write failed.") }
  }

  /// Repeats a change until it is taken.
  private func put(_ key: [UInt8], _ database: RocksDatabase) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try database.put(key, key, .synced)
      } catch let error as RocksError where error.isRefusal && ContinuousClock.now < deadline {}
    }
  }

  @Test("Reads and iterators on other threads see everything while the handle fails and is replaced")
  func readers() throws {
    try TemporaryDirectory.with { directory in
      let database = try filled(directory.file("db"))
      let readers = Readers(2) { try Self.readAll(database) }
      for round in UInt8(0)..<10 {
        let before = readers.count
        wound(database)
        try put([2, round], database)
        #expect(try database.get([2, round]) == [2, round])
        #expect(readers.reach(before + 4))
      }
      #expect(readers.stop() == [])
      database.close()
    }
  }

  @Test("If it cannot be replaced, reading goes on with one that takes no changes, and it is replaced later")
  func readOnly() throws {
    try TemporaryDirectory.with { directory in
      let database = try filled(directory.file("db"))
      // What it locks when it is opened for changes cannot be had.
      let lock = directory.file("db") + "/LOCK"
      try FileManager.default.removeItem(atPath: lock)
      try FileManager.default.createDirectory(atPath: lock, withIntermediateDirectories: false)
      let readers = Readers(2) { try Self.readAll(database) }
      wound(database)
      let deadline = ContinuousClock.now + .seconds(30)
      // There is one attempt a second, which may be given up because of the readers.
      var hasFailed = false
      while !hasFailed, ContinuousClock.now < deadline {
        let error = #expect(throws: RocksError.self) { try database.put([2], [2], .synced) }
        #expect(error?.isRefusal == true)
        hasFailed = error?.description.hasPrefix("Opening") == true
      }
      #expect(hasFailed)
      let before = readers.count
      #expect(readers.reach(before + 4))
      #expect(try database.get([2]) == nil)
      try FileManager.default.removeItem(atPath: lock)
      try put([2], database)
      #expect(try database.get([2]) == [2])
      #expect(readers.stop() == [])
      database.close()
      let again = try RocksDatabase(path: directory.file("db"))
      #expect(try Self.readAll(again) == nil)
      #expect(try again.get([2]) == [2])
      again.close()
    }
  }
}
