import BookieWire
import NIOCore
import Testing

@testable import Bookie

@Suite("Storage: crashes at every change of the disk, with un-synced sectors and names lost")
struct CrashTests {
  /// What a bookie has promised.
  struct Promises {
    var acknowledged: Set<[Int64]> = []
    var fenced: Set<Int64> = []
    var deleted: Set<Int64> = []
  }

  /// Works on a rig at random until its disk fails or the steps are done.
  static func work(_ rig: StorageRig, _ random: inout SeededRandom, _ promises: inout Promises, steps: Int) {
    var answers = Answers()
    func note() {
      for add in answers.codes where add.code == .ok { promises.acknowledged.insert([add.ledgerID, add.entryID]) }
      answers = Answers()
    }
    for _ in 0..<steps {
      let ledger = Int64.random(in: 0..<6, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<70:
        for _ in 0..<Int.random(in: 1...6, using: &random) {
          rig.add(ledger, Int64.random(in: 0..<40, using: &random), flags: .recoveryAdd, to: answers)
        }
        if Bool.random(using: &random) { rig.settle() }
      case 70..<80: rig.settle()
      case 80..<86:
        rig.settle()
        note()
        if let read = rig.read(ledger, -1, flags: .fencing), read.code == .ok || read.code == .noEntry {
          promises.fenced.insert(ledger)
        }
      case 86..<92: rig.checkpoint()
      case 92..<96: rig.compact()
      default: rig.pass(.seconds(11))
      }
    }
    rig.settle()
    note()
  }

  static func verify(_ rig: StorageRig, _ promises: Promises, _ seed: UInt64) {
    for id in promises.acknowledged where !rig.has(id[0], id[1]) {
      Issue.record("Seed \(seed): entry \(id[0]):\(id[1]) is lost: \(String(describing: rig.read(id[0], id[1])?.code))")
    }
    for ledger in promises.fenced {
      #expect(rig.addNow(ledger, 90) != .ok, "Seed \(seed): the fence of ledger \(ledger) is forgotten.")
    }
    #expect(rig.storage?.statistics().isInLimbo == false, "Seed \(seed): a crash is taken for damage.")
  }

  @Test("Nothing acknowledged is lost, and no fence forgotten, wherever the process dies", arguments: 0..<4)
  func crashes(part: UInt64) throws {
    for seed in part * 12..<part * 12 + 12 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed) { $0.majorCompactionThreshold = 0.9 }
      var promises = Promises()
      for _ in 0..<3 {
        rig.disk.failsAt = rig.disk.operations + Int.random(in: 1...120, using: &random)
        Self.work(rig, &random, &promises, steps: 60)
        try rig.crash(&random)
        Self.verify(rig, promises, seed)
      }
    }
  }

  @Test("A crash during the start itself is survived as well")
  func crashesAtStart() throws {
    for seed in UInt64(0)..<20 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed)
      var promises = Promises()
      Self.work(rig, &random, &promises, steps: 40)
      for _ in 0..<4 {
        rig.disk.crash(&random)
        rig.disk.failsAt = rig.disk.operations + Int.random(in: 1...40, using: &random)
        try? rig.open()
      }
      try rig.crash(&random)
      Self.verify(rig, promises, seed)
    }
  }

  @Test("A disk that is full anywhere refuses, and loses nothing; with space again everything goes on")
  func full() throws {
    for seed in UInt64(0)..<20 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed) { $0.majorCompactionThreshold = 0.9 }
      var promises = Promises()
      rig.disk.capacity = rig.disk.totalBytes + Int.random(in: 1000...150_000, using: &random)
      Self.work(rig, &random, &promises, steps: 80)
      #expect(rig.reports.isEmpty, "Seed \(seed): \(rig.reports)")
      Self.verify(rig, promises, seed)
      if Bool.random(using: &random) {
        rig.disk.capacity = .max
        rig.pass(.seconds(11))
        rig.storage?.checkDisks()
        #expect(rig.addNow(100, 0) == .ok, "Seed \(seed)")
      } else {
        rig.disk.capacity = .max
        try rig.crash(&random)
      }
      Self.verify(rig, promises, seed)
    }
  }
}
