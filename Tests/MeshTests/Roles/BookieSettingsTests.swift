import Testing

@testable import Mesh

@Suite("Settings of a bookie process")
struct BookieSettingsTests {
  @Test("Every setting that a bookie tells can be set, but for what the process makes of it")
  func told() throws {
    for name in BookieProcessConfiguration().bookie.settings.keys {
      #expect(BookieProcessConfiguration.settings[name] != nil, "\(name)")
    }
    var configuration = BookieProcessConfiguration()
    try configuration.set("maxReadsInProgressLimit", "99")
    try configuration.set("maxBatchReadSize", "65536")
    try configuration.set("readAheadBytes", "0")
    try configuration.set("garbageCollectionMassDeleteShare", "0.25")
    try configuration.set("garbageCollectionMassDeleteMinimum", "7")
    let told = configuration.bookie.settings
    #expect(told["maxReadsInProgressLimit"] == "99" && told["maxBatchReadSize"] == "65536")
    #expect(told["readAheadBytes"] == "0" && told["garbageCollectionMassDeleteShare"] == "0.25")
    #expect(told["garbageCollectionMassDeleteMinimum"] == "7")
  }

  @Test("What a journal's record cannot hold is refused")
  func sizes() throws {
    var configuration = BookieProcessConfiguration()
    for name in ["journalBufferedWritesThreshold", "nettyMaxFrameSizeBytes"] {
      try configuration.set(name, "\(64 << 20)")
      #expect(throws: MeshError.self) { try configuration.set(name, "\((64 << 20) + 1)") }
    }
  }

  @Test("Thresholds of disks rise")
  func thresholds() throws {
    func check(_ settings: [String: String]) throws {
      var configuration = BookieProcessConfiguration()
      configuration.metadataStoreURL = "etcd://127.0.0.1:2379"
      for (name, value) in settings { try configuration.set(name, value) }
      try configuration.validate()
    }
    try check(["diskUsageWarnThreshold": "0.95", "diskUsageHardThreshold": "0.95", "diskUsageLwmThreshold": "0.95"])
    #expect(throws: MeshError.self) { try check(["diskUsageWarnThreshold": "0.96"]) }
    #expect(throws: MeshError.self) { try check(["diskUsageThreshold": "0.99"]) }
    #expect(throws: MeshError.self) { try check(["diskUsageLwmThreshold": "0.96"]) }
  }
}
