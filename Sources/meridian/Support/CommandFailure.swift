import ArgumentParser

/// Ends a command with one sentence for a person; the exit code is 1.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
