import Logging
import MetadataStore
import NIOConcurrencyHelpers

/// Keeps the bookie in the list of available ones as long as it lives, and says there whether it takes writes:
/// `{"host":"...","port":n}`, with `"readOnly":true` if not; also its failure domain (`networkLocation`) and how full its fullest
/// ledger disk is (`freeDiskBytes`, `totalDiskBytes`), by which clients choose among bookies.
final class Registration: Sendable {
  private struct State {
    var lease: MetadataLease
    var isReadOnly: Bool
    /// What the list says.
    var told = ""
  }

  private let configuration: BookieConfiguration
  private let port: Int
  private let metadata: any MetadataStore
  private let state: NIOLockedValueBox<State>
  private let task = NIOLockedValueBox<Task<Void, Never>?>(nil)
  private let logger: Logger

  /// Registers, and registers again whenever the lease ends. Throws if the first time fails.
  init(
    configuration: BookieConfiguration, port: Int, isReadOnly: Bool, metadata: any MetadataStore, logger: Logger
  ) async throws {
    self.configuration = configuration
    self.port = port
    self.metadata = metadata
    self.logger = logger
    let lease = try await metadata.grantLease(ttl: configuration.registrationTTL)
    state = NIOLockedValueBox(State(lease: lease, isReadOnly: isReadOnly))
    try await put(lease)
    let loop = Task { [self] in await renew() }
    task.withLockedValue { $0 = loop }
  }

  private func put(_ lease: MetadataLease) async throws {
    let value = value(isReadOnly: state.withLockedValue { $0.isReadOnly })
    try await metadata.put(
      "/bookies/available/\(configuration.bookieID)", Array(value.utf8), expected: .any, lease: lease)
    state.withLockedValue { $0.told = value }
  }

  private func value(isReadOnly: Bool) -> String {
    var text = "{\"host\":\"\(Self.escaped(configuration.host))\",\"port\":\(port)"
    if let location = configuration.networkLocation { text += ",\"networkLocation\":\"\(Self.escaped(location))\"" }
    let disks = configuration.ledgerDirectories.compactMap { try? PosixFiles().space($0) }
    if let disk = disks.min(by: { $0.free < $1.free }) {
      // In hundredths of the disk: not every entry is worth telling everybody.
      let step = max(1, disk.total / 100)
      text += ",\"freeDiskBytes\":\(disk.free / step * step),\"totalDiskBytes\":\(disk.total / step * step)"
    }
    return text + (isReadOnly ? ",\"readOnly\":true}" : "}")
  }

  private func renew() async {
    while !Task.isCancelled {
      for await _ in state.withLockedValue({ $0.lease }).expired { break }
      if Task.isCancelled { break }
      logger.warning("The registration's lease has ended; registering again.")
      while !Task.isCancelled {
        do {
          let lease = try await metadata.grantLease(ttl: configuration.registrationTTL)
          try await put(lease)
          state.withLockedValue { $0.lease = lease }
          break
        } catch MetadataError.closed {
          return
        } catch {
          logger.warning("The bookie cannot be registered; trying again.", metadata: ["error": "\(error)"])
          try? await Task.sleep(for: .seconds(1))
        }
      }
    }
    try? await state.withLockedValue { $0.lease }.revoke()
  }

  /// Says whether the bookie takes writes, and how full its disks are, if either has changed.
  func update(isReadOnly: Bool) async throws {
    let now = value(isReadOnly: isReadOnly)
    let (before, lease, told) = state.withLockedValue { state in
      defer { state.isReadOnly = isReadOnly }
      return (state.isReadOnly, state.lease, state.told)
    }
    guard now != told else { return }
    do {
      try await put(lease)
    } catch {
      state.withLockedValue { $0.isReadOnly = before }
      throw error
    }
  }

  /// Takes the bookie off the list.
  func end() async {
    let loop = task.withLockedValue { $0 }
    loop?.cancel()
    await loop?.value
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      if character == "\"" || character == "\\" { result.append("\\") }
      result.append(character)
    }
    return result
  }
}
