import Logging

/// Has certificates read again when their files were replaced: new connections use the new ones.
struct CertificateWatch: Sendable {
  private let task: Task<Void, Never>

  /// Watches until `cancel`.
  /// - Parameters:
  ///   - what: whose certificates they are, for the log.
  ///   - reload: reads what changed; false if nothing did.
  init(_ what: String, logger: Logger, _ reload: @escaping @Sendable () throws -> Bool) {
    task = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(10))
        do {
          if try reload() { logger.info("the certificates of \(what) were reloaded") }
        } catch {
          logger.warning("the new certificates of \(what) cannot be used, the old ones stay: \(error)")
        }
      }
    }
  }

  func cancel() { task.cancel() }
}
