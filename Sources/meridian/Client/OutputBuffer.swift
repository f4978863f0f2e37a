import Foundation

/// Gathers lines for standard output, and writes them in one go.
struct OutputBuffer {
  private var bytes: [UInt8] = []

  mutating func add(line: some Sequence<UInt8>) {
    bytes.append(contentsOf: line)
    bytes.append(UInt8(ascii: "\n"))
  }

  /// - Returns: whether the output still takes something; not when its reader has gone.
  mutating func flush() -> Bool {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes.withUnsafeBytes { all in
      var rest = all
      while !rest.isEmpty {
        let count = write(STDOUT_FILENO, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      }
      return true
    }
  }
}
