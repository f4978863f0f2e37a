import Broker
import GeoReplication

/// The lag of a mesh as lines of text: a headline, a matrix of seconds behind, the links, and the namespaces behind.
///
/// State is never told by colour alone; without Unicode every sign has an ASCII form.
public struct LagScreen: Sendable {
  /// How to draw.
  public struct Style: Sendable {
    /// Colour the states.
    public var color: Bool
    /// Use signs beyond ASCII.
    public var unicode: Bool
    /// Namespaces to show at most.
    public var namespaces: Int

    /// A style.
    public init(color: Bool, unicode: Bool, namespaces: Int = 10) {
      self.color = color
      self.unicode = unicode
      self.namespaces = namespaces
    }
  }

  private let lag: MeshLag
  private let style: Style
  private let verdict: MeshLag.Verdict

  /// A screen for one moment.
  public init(lag: MeshLag, verdict: MeshLag.Verdict, style: Style) {
    self.lag = lag
    self.verdict = verdict
    self.style = style
  }

  /// The screen's lines.
  public var lines: [String] {
    var lines = headline
    lines.append("")
    lines += matrix
    lines.append("")
    lines += linkTable
    lines += gapLines
    if !lag.namespaces.isEmpty {
      lines.append("")
      lines += namespaceTable
    }
    return lines
  }

  /// One line for a log: the verdict and every link.
  public var summary: String {
    let links = lag.links.map { link in
      "\(link.from)\(arrow)\(link.lag.to) \(behind(link)) "
        + (link.isCurrent ? "\(Humanize.megabytes(link.lag.outBytesPerSecond)) MB/s" : "? MB/s")
    }
    return "\(verdict.name)  " + links.joined(separator: "  ")
  }

  // MARK: - Parts

  private var arrow: String { style.unicode ? "→" : "->" }

  private var headline: [String] {
    var first =
      "MESH  \(count(lag.regions.count, "region")), \(count(lag.links.count, "link"))   \(paint(verdict.name, verdict))"
    let silent = lag.regions.filter { !$0.answered }
    if let worst = lag.worst, lag.links.contains(where: { ($0.lag.behindSeconds ?? 1) > 0 || !$0.isCurrent }) {
      first += "   worst: \(worst.from)\(arrow)\(worst.lag.to) \(describe(worst))"
    } else if silent.isEmpty, !lag.links.isEmpty {
      first += "   nothing waits"
    }
    var lines = [first]
    for region in silent {
      let age = region.ageSeconds.map { "last known \(Humanize.seconds($0)) ago" } ?? "never heard of"
      lines.append("\(region.name) does not answer at \(region.adminUrl): \(region.problem ?? "?") (\(age))")
    }
    if let worst = lag.worst {
      if worst.isCurrent, let seconds = worst.lag.behindSeconds {
        let messages = Humanize.count(worst.lag.behindMessages ?? 0)
        let bytes = Humanize.bytes(Double(worst.lag.behindBytes ?? 0))
        lines.append(
          "If \(worst.from) fails now, \(worst.lag.to) lacks at most \(Humanize.seconds(seconds)), \(messages) messages, \(bytes)."
        )
      } else {
        lines.append("If \(worst.from) fails now, nobody can tell what \(worst.lag.to) lacks.")
      }
    }
    return lines
  }

  private var matrix: [String] {
    let names = lag.regions.map(\.name)
    let width = max(10, (names.map(\.count).max() ?? 0) + 2)
    let label = max(9, (names.map(\.count).max() ?? 0) + 6)
    var lines = [pad("TO", label) + names.map { pad($0, width) }.joined()]
    for from in names {
      var line = pad("FROM \(from)", label)
      for to in names {
        if from == to {
          line += pad(style.unicode ? "—" : "-", width)
        } else if let link = lag.links.first(where: { $0.from == from && $0.lag.to == to }) {
          line += pad("\(behind(link)) \(sign(link))", width)
        } else {
          line += pad(".", width)
        }
      }
      while line.hasSuffix(" ") { line.removeLast() }
      lines.append(line)
    }
    return lines
  }

  private var linkTable: [String] {
    let header = [
      "LINK", "STATE", "BEHIND", "MSGS", "BYTES", "IN\(arrow)OUT MB/s", "DRAIN", "ETA", "RTT", "INFLIGHT/WINDOW", "WHY",
    ]
    let rows = lag.links.map { link -> [String] in
      let lag = link.lag
      return [
        "\(link.from)\(arrow)\(lag.to)",
        link.isCurrent ? label(lag.state) : "unknown",
        behind(link),
        messages(lag.behindMessages, link.isCurrent),
        bytes(lag.behindBytes, link.isCurrent),
        link.isCurrent ? rates(lag) : "?",
        !link.isCurrent ? "?" : (lag.drainBytesPerSecond > 0 ? "+" : "") + Humanize.megabytes(lag.drainBytesPerSecond),
        link.isCurrent ? eta(lag) : "?",
        !link.isCurrent ? "?" : lag.rttMs.map { Humanize.fixed($0, digits: $0 < 10 ? 1 : 0) + "ms" } ?? "?",
        !link.isCurrent
          ? "?" : "\(Humanize.bytes(Double(lag.inFlightBytes)))/\(Humanize.bytes(Double(lag.windowBytes)))",
        link.isCurrent ? lag.reason : lastKnown(link),
      ]
    }
    return table(header, rows, right: [2, 3, 4, 6, 7, 8])
  }

  /// What a region will never have: every link that has gaps, and the records that are known of them.
  private var gapLines: [String] {
    var lines: [String] = []
    for link in lag.links where link.isCurrent && link.lag.gaps > 0 {
      let records = link.lag.gapRecords ?? []
      lines.append(
        "\(link.lag.to) lacks messages of \(link.from) for good, which both have lost: "
          + "\(count(link.lag.gaps, "gap"))\(records.count < link.lag.gaps ? ", the last \(records.count)" : "")")
      lines += records.map { record in
        let gap = record.gap
        return "  \(record.topic)  behind \(gap.fromLedgerId):\(gap.fromEntryId) through "
          + "\(gap.throughLedgerId):\(gap.throughEntryId)  found \(Self.time(gap.recordedAtMs))"
      }
    }
    return lines.isEmpty ? [] : [""] + lines
  }

  private static func time(_ ms: Int64) -> String {
    ISO8601.string(ms: ms) ?? "?"
  }

  private var namespaceTable: [String] {
    let header = ["NAMESPACES BEHIND", "LINK", "BEHIND", "MSGS", "BYTES", "WORST TOPIC", "STATE"]
    let rows = lag.namespaces.prefix(style.namespaces).map { namespace -> [String] in
      let lag = namespace.lag
      let state = lag.reason.isEmpty ? lag.phase.rawValue : "\(lag.phase.rawValue): \(lag.reason)"
      return [
        lag.namespace, "\(namespace.from)\(arrow)\(lag.to)",
        namespace.isCurrent ? lag.behindSeconds.map(Humanize.seconds) ?? "?" : "?",
        messages(lag.behindMessages, namespace.isCurrent), bytes(lag.behindBytes, namespace.isCurrent),
        lag.worstTopic.map(shortTopic) ?? "-", namespace.isCurrent ? state : "unknown",
      ]
    }
    return table(header, Array(rows), right: [2, 3, 4])
  }

  // MARK: - Cells

  private func behind(_ link: MeshLag.Link) -> String {
    guard link.isCurrent, let seconds = link.lag.behindSeconds else { return "?" }
    return Humanize.seconds(seconds)
  }

  private func messages(_ count: UInt64?, _ isCurrent: Bool) -> String {
    isCurrent ? count.map(Humanize.count) ?? "?" : "?"
  }

  private func bytes(_ count: UInt64?, _ isCurrent: Bool) -> String {
    isCurrent ? count.map { Humanize.bytes(Double($0)) } ?? "?" : "?"
  }

  private func rates(_ lag: LinkLag) -> String {
    "\(Humanize.megabytes(lag.inBytesPerSecond))\(arrow)\(Humanize.megabytes(lag.outBytesPerSecond))"
  }

  /// What was last heard of a link whose source is silent: never in the columns of what is true now.
  private func lastKnown(_ link: MeshLag.Link) -> String {
    let age = "last known \(Humanize.seconds(link.ageSeconds)) ago"
    guard let seconds = link.lag.behindSeconds else { return age }
    return "\(age): \(Humanize.seconds(seconds)) behind, \(messages(link.lag.behindMessages, true)) messages"
  }

  private func describe(_ link: MeshLag.Link) -> String {
    guard link.isCurrent, let seconds = link.lag.behindSeconds else { return "unknown" }
    var text = "\(label(link.lag.state)), \(Humanize.seconds(seconds)) behind"
    if let eta = link.lag.etaSeconds, seconds > 0 { text += ", ETA \(Humanize.seconds(eta))" }
    if !link.lag.reason.isEmpty { text += " (\(link.lag.reason))" }
    return text
  }

  private func label(_ state: LinkLag.State) -> String {
    switch state {
    case .connecting: "connecting"
    case .ok: "ok"
    case .catchingUp: "catching up"
    case .behind: "behind"
    case .blocked: "BLOCKED"
    case .down: "DOWN"
    }
  }

  private func sign(_ link: MeshLag.Link) -> String {
    guard link.isCurrent else { return "?" }
    let (unicode, ascii): (String, String) =
      switch link.lag.state {
      case .connecting: ("…", "..")
      case .ok: ("✓", "ok")
      case .catchingUp: ("▼", "v")
      case .behind: ("▲", "^")
      case .blocked: ("‖", "||")
      case .down: ("✗", "x")
      }
    return style.unicode ? unicode : ascii
  }

  private func eta(_ lag: LinkLag) -> String {
    guard let waiting = lag.behindBytes else { return "?" }
    if waiting == 0 { return "-" }
    return lag.etaSeconds.map(Humanize.seconds) ?? "never"
  }

  private func shortTopic(_ topic: String) -> String {
    topic.split(separator: "/").last.map(String.init) ?? topic
  }

  private func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }

  private func paint(_ text: String, _ verdict: MeshLag.Verdict) -> String {
    guard style.color else { return text }
    let code =
      switch verdict {
      case .ok: "32"
      case .warning: "33"
      case .critical: "31"
      case .unknown: "35"
      }
    return "\u{1B}[1;\(code)m\(text)\u{1B}[0m"
  }

  private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }

  private func table(_ header: [String], _ rows: [[String]], right: Set<Int>) -> [String] {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let space = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += right.contains(column) ? space + cell : cell + space
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }
}
