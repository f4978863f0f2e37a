import Foundation
import RocksDB
import TestSupport
import Testing

@Suite struct RocksDatabaseTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func valuesSurviveReopening() throws {
    try TemporaryDirectory.with { directory in
      let database = try RocksDatabase(path: directory.path + "/db")
      try database.put(bytes("a"), bytes("1"), .synced)
      try database.put(bytes("b"), [], .logged)
      #expect(try database.get(bytes("a")) == bytes("1"))
      #expect(try database.get(bytes("b")) == [])
      #expect(try database.get(bytes("c")) == nil)
      database.close()
      database.close()
      #expect(throws: RocksError.self) { try database.get(bytes("a")) }
      let again = try RocksDatabase(path: directory.path + "/db")
      defer { again.close() }
      #expect(try again.get(bytes("a")) == bytes("1"))
    }
  }

  @Test func optionsReachTheLibraryWhichKeepsNoLog() throws {
    try TemporaryDirectory.with { directory in
      var options = RocksOptions()
      options.blockCacheSize = 3 << 20
      let database = try RocksDatabase(path: directory.path + "/db", options: options)
      defer { database.close() }
      #expect(try database.property("rocksdb.block-cache-capacity") == "\(3 << 20)")
      try database.put([1], [1], .synced)
      try database.flush()
      let log = try FileManager.default.attributesOfItem(atPath: directory.path + "/db/LOG")
      #expect(log[.size] as? Int == 0)
      let names = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/db")
      #expect(!names.contains { $0.hasSuffix(".dbtmp") })
    }
  }

  @Test func batchesApplyInOrder() throws {
    try TemporaryDirectory.with { directory in
      let database = try RocksDatabase(path: directory.path + "/db")
      defer { database.close() }
      let batch = RocksWriteBatch()
      for index in 0..<10 { batch.put([1, UInt8(index)], [UInt8(index)]) }
      batch.delete([1, 3])
      batch.deleteRange(from: [1, 5], to: [1, 8])
      #expect(batch.count == 12 && batch.byteCount > 0)
      try database.write(batch, .unlogged)
      try database.flush()
      var keys: [UInt8] = []
      try database.forEach(prefix: [1]) { key, value in
        #expect(key[1] == value[0])
        keys.append(key[1])
        return true
      }
      #expect(keys == [0, 1, 2, 4, 8, 9])
      batch.clear()
      #expect(batch.isEmpty)
    }
  }

  @Test func seeksBackwardsWithinAPrefix() throws {
    try TemporaryDirectory.with { directory in
      let database = try RocksDatabase(path: directory.path + "/db")
      defer { database.close() }
      for key in ["a/1", "a/5", "b/2"] { try database.put(bytes(key), bytes(key)) }
      #expect(try database.last(atOrBefore: bytes("a/4"), prefix: bytes("a/"))?.key == bytes("a/1"))
      #expect(try database.last(atOrBefore: bytes("a/5"), prefix: bytes("a/"))?.key == bytes("a/5"))
      #expect(try database.last(atOrBefore: bytes("b/1"), prefix: bytes("b/")) == nil)
      #expect(try database.last(atOrBefore: bytes("Z")) == nil)
      var seen: [[UInt8]] = []
      try database.forEach(prefix: bytes("a/"), from: bytes("a/2")) { key, _ in
        seen.append(Array(key))
        return true
      }
      #expect(seen == [bytes("a/5")])
      #expect(try database.property("rocksdb.estimate-num-keys") != nil)
      #expect(RocksDatabase.end(ofPrefix: [1, 0xFF]) == [2])
      #expect(RocksDatabase.end(ofPrefix: [0xFF]) == nil)
    }
  }

  @Test func aSecondOpenIsRefusedWithTheReason() throws {
    try TemporaryDirectory.with { directory in
      let database = try RocksDatabase(path: directory.path + "/db")
      defer { database.close() }
      let error = #expect(throws: RocksError.self) { try RocksDatabase(path: directory.path + "/db") }
      #expect(error?.description.contains("lock") == true)
    }
  }
}
