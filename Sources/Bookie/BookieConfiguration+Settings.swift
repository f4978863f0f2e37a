extension Bookie {
  /// What the bookie was started with, for operators; its port is the one that it listens on.
  public var settings: [String: String] {
    configuration.settings.merging(["bookiePort": "\(port)"]) { _, actual in actual }
  }
}

extension BookieConfiguration {
  /// The settings under their configuration names (BookKeeper's where they mean the same), as texts: sizes in bytes (or MB
  /// where the name says so), times in the unit of the name, else in seconds.
  public var settings: [String: String] {
    func seconds(_ time: Duration) -> String {
      let parts = time.components
      let fraction = Double(parts.attoseconds) / 1e18
      return fraction == 0 ? "\(parts.seconds)" : "\(Double(parts.seconds) + fraction)"
    }
    func milliseconds(_ time: Duration) -> String {
      "\(time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000)"
    }
    return [
      "bookieId": bookieID, "advertisedAddress": host, "bookiePort": "\(port)",
      "networkLocation": networkLocation ?? "",
      "journalDirectories": journalDirectories.joined(separator: ","),
      "ledgerDirectories": ledgerDirectories.joined(separator: ","),
      "nettyMaxFrameSizeBytes": "\(maximumFrameSize)",
      "tlsCertificatePath": tlsCertificatePath ?? "", "tlsKeyStore": tlsKeyPath ?? "",
      "tlsTrustStore": tlsTrustPath ?? "", "tlsClientAuthentication": "\(tlsClientAuthentication)",
      "journalMaxGroupWaitMSec": milliseconds(journalMaxGroupWait),
      "journalBufferedWritesThreshold": "\(journalMaxGroupBytes)",
      "journalMaxMemorySizeMb": "\(journalMaxMemory >> 20)",
      "journalFlushWhenQueueEmpty": "\(journalFlushWhenIdle)",
      "journalMarkerDelayMSec": milliseconds(journalMarkerDelay),
      "journalMaxSizeMB": "\(journalMaxFileSize >> 20)",
      "journalPreAllocSizeMB": "\(journalPreallocation >> 20)",
      "journalDirectIO": "\(journalDirectIO)",
      "dbStorage_writeCacheMaxSizeMb": "\(writeCacheSize >> 20)",
      "dbStorage_maxThrottleTimeMs": milliseconds(maximumThrottleTime),
      "dbStorage_readAheadCacheMaxSizeMb": "\(readCacheSize >> 20)",
      "readAheadBytes": "\(readAheadBytes)",
      "readShareBesideAdds": "\(readShareBesideAdds)",
      "flushInterval": milliseconds(flushInterval),
      "numReadWorkerThreads": "\(readThreads)",
      "maxPendingReadRequestsPerThread": "\(maximumPendingReads)",
      "maxReadsInProgressLimit": "\(maximumReadsPerConnection)",
      "maxBatchReadSize": "\(maximumBatchReadSize)",
      "logSizeLimit": "\(entryLogSizeLimit)",
      "gcWaitTime": milliseconds(garbageCollectionInterval),
      "gcOverreplicatedLedgerWaitTime": milliseconds(overReplicatedLedgerInterval),
      "garbageCollectionMassDeleteShare": "\(garbageCollectionMassDeleteShare)",
      "garbageCollectionMassDeleteMinimum": "\(garbageCollectionMassDeleteMinimum)",
      "minorCompactionThreshold": "\(minorCompactionThreshold)",
      "minorCompactionInterval": seconds(minorCompactionInterval),
      "majorCompactionThreshold": "\(majorCompactionThreshold)",
      "majorCompactionInterval": seconds(majorCompactionInterval),
      "compactionRateByBytes": "\(compactionRateByBytes)",
      "isForceGCAllowWhenNoSpace": "\(forceCompactionWhenFull)",
      "diskUsageWarnThreshold": "\(diskUsageWarnThreshold)",
      "diskUsageThreshold": "\(diskUsageThreshold)",
      "diskUsageLwmThreshold": "\(diskUsageLowWaterMark)",
      "diskUsageHardThreshold": "\(diskUsageHardThreshold)",
      "diskCheckInterval": milliseconds(diskCheckInterval),
      "readOnlyModeOnAnyDiskFullEnabled": "\(readOnlyModeOnAnyDiskFull)",
      "scrubInterval": seconds(scrubInterval),
      "scrubRateByBytes": "\(scrubRateByBytes)",
    ]
  }
}
