import RocksDB
import TestSupport
import Testing

@Suite("RocksDB: a full disk", .timeLimit(.minutes(2)))
struct FullDiskTests {
  private func withDisk(_ body: (SmallDisk) throws -> Void) throws {
    try TemporaryDirectory.with { directory in
      // Without the right to mount there is no small disk.
      guard let disk = SmallDisk.mount(at: directory.file("disk"), megabytes: 24) else { return }
      defer { disk.unmount() }
      try body(disk)
    }
  }

  private func options(reserving bytes: Int) -> RocksOptions {
    var options = RocksOptions()
    options.reservedSpace = bytes
    options.writeBufferSize = 1 << 20
    return options
  }

  /// Writes until a change fails. - Returns: the error, and what was written before.
  private func writeUntilFull(
    _ database: RocksDatabase, _ tag: UInt8, _ written: inout [[UInt8]: [UInt8]]
  ) throws -> RocksError {
    for index in 0..<10_000 {
      let key = [tag, UInt8(index >> 8), UInt8(index & 0xFF)]
      let value = [UInt8](repeating: tag ^ UInt8(index & 0xFF), count: 20_000)
      do {
        try database.put(key, value, .synced)
      } catch let error as RocksError {
        return error
      }
      written[key] = value
    }
    throw TestSupportError("The disk does not fill up.")
  }

  private func check(_ database: RocksDatabase, _ written: [[UInt8]: [UInt8]]) throws {
    for (key, value) in written { #expect(try database.get(key) == value) }
  }

  /// Repeats a change until it is taken.
  private func put(_ key: [UInt8], _ value: [UInt8], _ database: RocksDatabase) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try database.put(key, value, .synced)
      } catch let error as RocksError where error.isOutOfSpace && ContinuousClock.now < deadline {}
    }
  }

  @Test("A change that meets it fails, reading goes on, and with space again it writes and opens as before")
  func wound() throws {
    try withDisk { disk in
      var written: [[UInt8]: [UInt8]] = [:]
      var database = try RocksDatabase(path: disk.path + "/db", options: options(reserving: 0))
      for round in 0..<4 {
        for index in 0..<20 {
          let key = [UInt8(round), UInt8(index)]
          try database.put(key, key, .synced)
          written[key] = key
        }
        disk.fill()
        let error = try writeUntilFull(database, UInt8(100 + round), &written)
        #expect(error.isOutOfSpace)
        for _ in 0..<3 {
          let error = #expect(throws: RocksError.self) { try database.put([1], [1], .synced) }
          #expect(error?.isOutOfSpace == true && error?.isRefusal == true)
        }
        try check(database, written)
        disk.free()
        try put([250, UInt8(round)], [7], database)
        written[[250, UInt8(round)]] = [7]
        try check(database, written)
        // What does not fit on the disk with the rounds to come.
        for key in written.keys where key[0] == UInt8(100 + round) {
          try put(key, [], database)
          written[key] = []
        }
        try database.compact()
      }
      database.close()
      database = try RocksDatabase(path: disk.path + "/db")
      try check(database, written)
      database.close()
    }
  }

  @Test(
    "Changes that would leave less than what is reserved are refused, and nothing is wrong when there is more again")
  func refusal() throws {
    try withDisk { disk in
      var written: [[UInt8]: [UInt8]] = [:]
      let database = try RocksDatabase(path: disk.path + "/db", options: options(reserving: 4 << 20))
      defer { database.close() }
      let error = try writeUntilFull(database, 1, &written)
      #expect(error.isRefusal && error.isOutOfSpace && written.count > 50)
      try check(database, written)
      disk.fill()
      #expect(throws: RocksError.self) { try database.put([1], [1]) }
      disk.free()
      try put([2], [], database)
    }
  }

  @Test("A database on it says why it cannot be opened, and is whole when there is space")
  func openingWithoutSpace() throws {
    try withDisk { disk in
      var written: [[UInt8]: [UInt8]] = [:]
      var database = try RocksDatabase(path: disk.path + "/db", options: options(reserving: 0))
      disk.fill()
      _ = try writeUntilFull(database, 1, &written)
      database.close()
      #expect(throws: RocksError.self) { try RocksDatabase(path: disk.path + "/db") }
      disk.free()
      database = try RocksDatabase(path: disk.path + "/db")
      try check(database, written)
      database.close()
    }
  }
}
