import ArgumentParser
import Foundation

/// A word that has to be given, or typed, before something is done that cannot be taken back.
struct Confirmation: ParsableArguments {
  @Option(
    help: ArgumentHelp("Do it without asking; the word is the one that would have to be typed.", valueName: "word"))
  var confirm: String?

  /// Returns if the operator means it: `--confirm` has the word, or it is typed on the terminal.
  /// - Parameters:
  ///   - word: what has to be given.
  ///   - consequence: what will happen, as a sentence without its full stop.
  func require(_ word: String, _ consequence: String) throws {
    if let confirm {
      guard confirm == word else {
        throw CommandFailure("--confirm `\(confirm)` is not `\(word)`; nothing was done")
      }
      return
    }
    guard isatty(STDIN_FILENO) == 1 else {
      throw CommandFailure(
        "\(consequence); if that is meant, add --confirm \(word.contains(" ") ? "'\(word)'" : word)")
    }
    FileHandle.standardError.write(Data("\(consequence).\nType \(word) to go on: ".utf8))
    guard readLine() == word else { throw CommandFailure("nothing was done") }
  }
}
