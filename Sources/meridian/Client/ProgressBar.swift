import Foundation
import Mesh

/// One line on a terminal that shows how far a long run is; nothing elsewhere, and nothing in the first second.
struct ProgressBar {
  private let isShown: Bool
  private let total: Int?
  private let start = ContinuousClock.now
  private var drawn: ContinuousClock.Instant?

  init(total: Int?, isEnabled: Bool = true) {
    self.total = total
    isShown = isEnabled && isatty(STDERR_FILENO) == 1
  }

  mutating func update(_ done: Int) {
    guard isShown else { return }
    let now = ContinuousClock.now
    guard now - start > .seconds(1), drawn.map({ now - $0 > .milliseconds(200) }) ?? true else { return }
    drawn = now
    let seconds = (now - start).inSeconds
    let rate = Double(done) / seconds
    var line = "\(done) messages  \(Humanize.fixed(rate, digits: 0))/s"
    if let total, total > 0 {
      let part = min(1, Double(done) / Double(total))
      let filled = Int(part * 30)
      let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
      let left = rate > 0 ? Humanize.seconds(Double(max(0, total - done)) / rate) : "?"
      line = "[\(bar)] \(Int(part * 100)) %  \(done)/\(total)  \(Humanize.fixed(rate, digits: 0))/s  \(left) left"
    }
    write("\r\(line)\u{1B}[K")
  }

  func clear() {
    if isShown, drawn != nil { write("\r\u{1B}[K") }
  }

  private func write(_ text: String) {
    FileHandle.standardError.write(Data(text.utf8))
  }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
