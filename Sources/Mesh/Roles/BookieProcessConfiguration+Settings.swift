import Bookie
import Ledgers
import MetadataStore

extension BookieProcessConfiguration {
  /// Sets a setting from its text; false if the text is no value for it.
  typealias Setting = @Sendable (inout BookieProcessConfiguration, String) -> Bool
  private typealias Path<Value> = WritableKeyPath<BookieProcessConfiguration, Value> & Sendable

  /// The settings of configuration files, by name.
  static let settings: [String: Setting] = [
    "metadataStoreUrl": text(\.metadataStoreURL), "metadataServiceUri": text(\.metadataStoreURL),
    "metadataStoreTlsTrustCertsFilePath": tls(\.trustCertsFilePath),
    "metadataStoreTlsCertificateFilePath": tls(\.certificateFilePath),
    "metadataStoreTlsKeyFilePath": tls(\.keyFilePath),
    "metadataStoreSessionTimeoutMillis": milliseconds(\.bookie.registrationTTL),
    "bookieId": text(\.bookie.bookieID), "advertisedAddress": text(\.bookie.host),
    "bookiePort": integer(\.bookie.port, 0...65_535),
    "networkLocation": {
      $0.bookie.networkLocation = $1.isEmpty ? nil : $1; return true
    },
    "journalDirectories": list(\.bookie.journalDirectories), "journalDirectory": list(\.bookie.journalDirectories),
    "ledgerDirectories": list(\.bookie.ledgerDirectories),
    "tlsProvider": only("OpenSSL"), "tlsProviderFactoryClass": only("org.apache.bookkeeper.tls.TLSContextFactory"),
    "tlsKeyStoreType": only("PEM"), "tlsTrustStoreType": only("PEM"),
    "tlsCertificatePath": file(\.bookie.tlsCertificatePath), "tlsKeyStore": file(\.bookie.tlsKeyPath),
    "tlsTrustStore": file(\.bookie.tlsTrustPath), "tlsClientAuthentication": flag(\.bookie.tlsClientAuthentication),
    "autoRecoveryDaemonEnabled": flag(\.autoRecoveryDaemonEnabled),
    "lostBookieRecoveryDelay": seconds(\.autoRecovery.lostBookieRecoveryDelay),
    "openLedgerRereplicationGracePeriod": milliseconds(\.autoRecovery.openLedgerRereplicationGracePeriod),
    "auditorPeriodicBookieCheckInterval": seconds(\.autoRecovery.auditorPeriodicBookieCheckInterval),
    "auditorPeriodicCheckInterval": seconds(\.autoRecovery.auditorPeriodicCheckInterval),
    "auditorPeriodicPlacementPolicyCheckInterval": seconds(\.autoRecovery.auditorPeriodicPlacementPolicyCheckInterval),
    "auditorLedgerVerificationPercentage": integer(\.autoRecovery.auditorLedgerVerificationPercentage, 0...100),
    "rereplicationEntryBatchSize": integer(\.autoRecovery.rereplicationEntryBatchSize, 1...100_000),
    "replicationRateByBytes": integer(\.autoRecovery.replicationRateByBytes, 0...Int.max),
    "bookkeeperClientRackawarePolicyEnabled": flag(\.placement.bookkeeperClientRackawarePolicyEnabled),
    "bookkeeperClientRegionawarePolicyEnabled": flag(\.placement.bookkeeperClientRegionawarePolicyEnabled),
    "bookkeeperClientMinNumRacksPerWriteQuorum": integer(racks, 1...1024),
    "minNumRacksPerWriteQuorum": integer(racks, 1...1024),
    "bookkeeperClientEnforceMinNumRacksPerWriteQuorum": flag(enforcesRacks),
    "enforceMinNumRacksPerWriteQuorum": flag(enforcesRacks),
    "bookkeeperDiskWeightBasedPlacementEnabled": flag(weighsDisks),
    "diskWeightBasedPlacementEnabled": flag(weighsDisks),
    "ensemblePlacementPolicy": policy,
    "httpServerEnabled": {
      guard let isEnabled = Bool($1.lowercased()) else { return false }
      $0.httpServerPort = isEnabled ? $0.httpServerPort ?? 8000 : nil
      return true
    },
    "httpServerHost": text(\.httpServerHost),
    "httpServerPort": {
      guard let port = Int($1) else { return false }
      $0.httpServerPort = port
      return true
    },
    "numIOThreads": integer(\.numIOThreads, 0...1024), "logLevel": text(\.logLevel),
    "nettyMaxFrameSizeBytes": integer(\.bookie.maximumFrameSize, 1024...(64 << 20)),
    "journalMaxGroupWaitMSec": milliseconds(\.bookie.journalMaxGroupWait),
    "journalBufferedWritesThreshold": integer(\.bookie.journalMaxGroupBytes, 4096...(64 << 20)),
    "journalFlushWhenQueueEmpty": flag(\.bookie.journalFlushWhenIdle),
    "journalMarkerDelayMSec": milliseconds(\.bookie.journalMarkerDelay),
    "journalMaxMemorySizeMb": megabytes(\.bookie.journalMaxMemory),
    "journalMaxSizeMB": megabytes(\.bookie.journalMaxFileSize),
    "journalPreAllocSizeMB": megabytes(\.bookie.journalPreallocation),
    "journalDirectIO": flag(\.bookie.journalDirectIO),
    "dbStorage_writeCacheMaxSizeMb": megabytes(\.bookie.writeCacheSize),
    "dbStorage_maxThrottleTimeMs": milliseconds(\.bookie.maximumThrottleTime),
    "dbStorage_readAheadCacheMaxSizeMb": megabytes(\.bookie.readCacheSize),
    "readAheadBytes": integer(\.bookie.readAheadBytes, 0...(64 << 20)),
    "flushInterval": milliseconds(\.bookie.flushInterval),
    "numReadWorkerThreads": integer(\.bookie.readThreads, 1...1024),
    "maxPendingReadRequestsPerThread": integer(\.bookie.maximumPendingReads, 1...10_000_000),
    "maxReadsInProgressLimit": integer(\.bookie.maximumReadsPerConnection, 1...1_000_000),
    "maxBatchReadSize": integer(\.bookie.maximumBatchReadSize, 1024...(64 << 20)),
    "logSizeLimit": integer(\.bookie.entryLogSizeLimit, (1 << 20)...(1 << 32 - 1)),
    "gcWaitTime": milliseconds(\.bookie.garbageCollectionInterval),
    "gcOverreplicatedLedgerWaitTime": milliseconds(\.bookie.overReplicatedLedgerInterval),
    "garbageCollectionMassDeleteShare": share(\.bookie.garbageCollectionMassDeleteShare),
    "garbageCollectionMassDeleteMinimum": integer(\.bookie.garbageCollectionMassDeleteMinimum, 1...Int.max),
    "minorCompactionThreshold": share(\.bookie.minorCompactionThreshold),
    "minorCompactionInterval": seconds(\.bookie.minorCompactionInterval),
    "majorCompactionThreshold": share(\.bookie.majorCompactionThreshold),
    "majorCompactionInterval": seconds(\.bookie.majorCompactionInterval),
    "compactionRateByBytes": integer(\.bookie.compactionRateByBytes, 1...Int.max),
    "isForceGCAllowWhenNoSpace": flag(\.bookie.forceCompactionWhenFull),
    "diskUsageWarnThreshold": share(\.bookie.diskUsageWarnThreshold),
    "readShareBesideAdds": share(\.bookie.readShareBesideAdds),
    "diskUsageThreshold": share(\.bookie.diskUsageThreshold),
    "diskUsageLwmThreshold": share(\.bookie.diskUsageLowWaterMark),
    "diskUsageHardThreshold": share(\.bookie.diskUsageHardThreshold),
    "diskCheckInterval": milliseconds(\.bookie.diskCheckInterval),
    "readOnlyModeOnAnyDiskFullEnabled": flag(\.bookie.readOnlyModeOnAnyDiskFull),
    "scrubInterval": seconds(\.bookie.scrubInterval),
    "scrubRateByBytes": integer(\.bookie.scrubRateByBytes, 1...Int.max),
  ]

  private static let racks: Path<Int> = \.placement.bookkeeperClientMinNumRacksPerWriteQuorum
  private static let enforcesRacks: Path<Bool> = \.placement.bookkeeperClientEnforceMinNumRacksPerWriteQuorum
  private static let weighsDisks: Path<Bool> = \.placement.bookkeeperDiskWeightBasedPlacementEnabled

  /// BookKeeper's names of classes, with or without their packages.
  private static let policy: Setting = { configuration, name in
    let known: [String: (rack: Bool, region: Bool)] = [
      "RackawareEnsemblePlacementPolicy": (true, false), "RegionAwareEnsemblePlacementPolicy": (false, true),
      "DefaultEnsemblePlacementPolicy": (false, false),
    ]
    guard let policy = known[name.split(separator: ".").last.map(String.init) ?? ""] else { return false }
    configuration.placement.bookkeeperClientRackawarePolicyEnabled = policy.rack
    configuration.placement.bookkeeperClientRegionawarePolicyEnabled = policy.region
    return true
  }

  private static func text(_ path: Path<String>) -> Setting {
    {
      $0[keyPath: path] = $1
      return true
    }
  }

  private static func file(_ path: Path<String?>) -> Setting {
    {
      $0[keyPath: path] = $1.isEmpty ? nil : $1
      return true
    }
  }

  /// What BookKeeper has a choice of, and we do not.
  private static func only(_ value: String) -> Setting { { $1 == value } }

  private static func list(_ path: Path<[String]>) -> Setting {
    {
      $0[keyPath: path] = $1.split(separator: ",").map(String.init)
      return !$0[keyPath: path].isEmpty
    }
  }

  private static func flag(_ path: Path<Bool>) -> Setting {
    {
      guard let value = Bool($1.lowercased()) else { return false }
      $0[keyPath: path] = value
      return true
    }
  }

  private static func integer(_ path: Path<Int>, _ range: ClosedRange<Int>) -> Setting {
    {
      guard let value = Int($1), range.contains(value) else { return false }
      $0[keyPath: path] = value
      return true
    }
  }

  private static func share(_ path: Path<Double>) -> Setting {
    {
      guard let value = Double($1), (0...1).contains(value) else { return false }
      $0[keyPath: path] = value
      return true
    }
  }

  private static func megabytes(_ path: Path<Int>) -> Setting {
    {
      guard let value = Int($1), (1...(1 << 20)).contains(value) else { return false }
      $0[keyPath: path] = value << 20
      return true
    }
  }

  private static func seconds(_ path: Path<Duration>) -> Setting {
    {
      guard let value = Double($1), (0...1e9).contains(value) else { return false }
      $0[keyPath: path] = .seconds(value)
      return true
    }
  }

  private static func milliseconds(_ path: Path<Duration>) -> Setting {
    {
      guard let value = Int($1), (0...1_000_000_000_000).contains(value) else { return false }
      $0[keyPath: path] = .milliseconds(value)
      return true
    }
  }

  private static func tls(_ path: WritableKeyPath<EtcdConfiguration.TLS, String?> & Sendable) -> Setting {
    {
      var tls = $0.metadataTLS ?? EtcdConfiguration.TLS()
      tls[keyPath: path] = $1
      $0.metadataTLS = tls
      return true
    }
  }
}
