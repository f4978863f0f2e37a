import Foundation
import GRPCCore

/// Carries out one change as `EtcdWrite` decides.
struct EtcdChange: Sendable {
  let key: String
  let operation: EtcdRequestOp
  let condition: EtcdCompare?
  let lease: MetadataLease?
  let client: EtcdClient
  let session: EtcdSession
  let leases: EtcdLeases

  /// - Returns: the version of the change.
  func run() async throws -> MetadataVersion {
    var patience = EtcdPatience(client.configuration.operationTimeout)
    while true {
      var slot: EtcdSession.Slot
      do {
        slot = try await session.take()
      } catch let failure as EtcdFailure {
        throw failure.metadataError
      }
      var write = EtcdWrite(markerRevision: slot.revision)
      var reason = "its session ended"
      while write.step == .change || write.step == .settle {
        do {
          let answer = try await client.attempt(
            .txn, transaction(write, slot), timeout: patience.attempt(client.configuration.attemptTimeout))
          write.receive(Self.read(answer))
          continue
        } catch {
          switch error {
          case .closed: throw MetadataError.closed
          case .lost(let text):
            write.receive(.lost)
            reason = text
          case .busy(let text): reason = text
          case .refused(.notFound, _):
            // One of the two leases has ended.
            if let lease, try await !exists(lease) {
              lease.markExpired()
              throw MetadataError.leaseExpired
            }
            session.forget(slot.lease)
            write.receive(.sessionEnded)
            continue
          case .refused: throw error.metadataError
          }
        }
        guard let pause = patience.pause() else { throw unknown(reason) }
        try await Task.sleep(for: pause)
      }
      slot.revision = write.markerRevision
      switch write.step {
      case .made(let revision):
        session.give(slot)
        return MetadataVersion(rawValue: revision)
      case .mismatch:
        session.give(slot)
        throw MetadataError.versionMismatch(key: key)
      case .sessionLost:
        session.forget(slot.lease)
        guard patience.pause() != nil else { throw unknown(reason) }
      case .unknown, .change, .settle:
        throw unknown(reason)
      }
    }
  }

  private func exists(_ lease: MetadataLease) async throws -> Bool {
    do {
      return try await leases.exists(lease.id)
    } catch let failure as EtcdFailure {
      throw failure.metadataError
    }
  }

  private func unknown(_ reason: String) -> MetadataError {
    .storage("etcd does not answer (\(reason)); the change of \(key) may or may not have been made.")
  }

  private func transaction(_ write: EtcdWrite, _ slot: EtcdSession.Slot) -> EtcdTxnRequest {
    let marker = Data(slot.key)
    let isChange = write.step == .change
    var put = EtcdPutRequest()
    (put.key, put.value, put.lease) = (marker, Data([isChange ? 1 : 0]), slot.lease.id)
    var mark = EtcdRequestOp()
    mark.request = .requestPut(put)
    var range = EtcdRangeRequest()
    range.key = marker
    var look = EtcdRequestOp()
    look.request = .requestRange(range)
    var transaction = EtcdTxnRequest()
    transaction.compare = [.revision(of: marker, is: write.markerRevision)]
    if isChange, let condition { transaction.compare.append(condition) }
    transaction.success = isChange ? [operation, mark] : [mark]
    transaction.failure = [look]
    return transaction
  }

  private static func read(_ answer: EtcdTxnResponse) -> EtcdWrite.Answer {
    if answer.succeeded { return .done(revision: answer.header.revision) }
    guard case .responseRange(let found)? = answer.responses.first?.response, let marker = found.kvs.first else {
      return .refused(nil)
    }
    return .refused(EtcdWrite.Marker(revision: marker.modRevision, isOfChange: marker.value.first == 1))
  }
}

extension EtcdCompare {
  /// That the key was last changed at `revision`; 0: that there is no such key.
  static func revision(of key: Data, is revision: Int64) -> EtcdCompare {
    var compare = EtcdCompare()
    compare.result = .equal
    compare.target = .mod
    compare.key = key
    compare.modRevision = revision
    return compare
  }
}
