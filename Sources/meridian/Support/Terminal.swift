import Foundation

/// Draws whole screens on a terminal, on its alternate page.
struct Terminal {
  let isInteractive: Bool

  static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  func enter() {
    guard isInteractive else { return }
    write("\u{1B}[?1049h\u{1B}[?25l")
  }

  func leave() {
    guard isInteractive else { return }
    write("\u{1B}[?25h\u{1B}[?1049l")
  }

  /// Replaces what is shown; lines that do not fit are cut.
  func draw(_ lines: [String]) {
    let size = Self.size
    var text = "\u{1B}[H"
    for line in lines.prefix(max(1, size.rows - 1)) {
      text += Self.cut(line, to: size.columns) + "\u{1B}[K\r\n"
    }
    write(text + "\u{1B}[J")
  }

  static var size: (rows: Int, columns: Int) {
    var window = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else {
      return (40, 160)
    }
    return (Int(window.ws_row), Int(window.ws_col))
  }

  /// Cuts a line to a width; colour codes take no room.
  private static func cut(_ line: String, to width: Int) -> String {
    var result = ""
    var shown = 0
    var inCode = false
    for character in line {
      if character == "\u{1B}" { inCode = true }
      if inCode {
        result.append(character)
        if character.isLetter { inCode = false }
      } else if shown < width {
        result.append(character)
        shown += 1
      }
    }
    return result
  }

  private func write(_ text: String) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }
}
