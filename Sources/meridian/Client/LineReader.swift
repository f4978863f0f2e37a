import Foundation
import NIOCore

/// Reads the lines of a file or of standard input, on a thread of its own.
final class LineReader: @unchecked Sendable {
  private let descriptor: Int32
  private let queue = DispatchQueue(label: "lines")
  private var buffer = ByteBuffer()
  private var hasEnded = false

  /// Opens a file; `nil` or `-` is standard input.
  init(path: String?) throws {
    guard let path, path != "-" else {
      descriptor = STDIN_FILENO
      return
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CommandFailure("\(path) cannot be read: \(String(cString: strerror(errno)))") }
  }

  deinit {
    if descriptor != STDIN_FILENO { Foundation.close(descriptor) }
  }

  /// The next line without its end; `nil` at the end of the input or when the user interrupts.
  func next(_ interrupt: Interrupt) async throws -> ByteBuffer? {
    if let line = nextInBuffer() { return line }
    return try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result { try self.read(interrupt) }) }
    }
  }

  /// Everything to the end, as one message.
  func rest(_ interrupt: Interrupt) async throws -> ByteBuffer {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(
          with: Result {
            while !self.hasEnded, !interrupt.isSet { try self.fill(interrupt) }
            defer { self.buffer.clear() }
            return self.buffer
          })
      }
    }
  }

  private func read(_ interrupt: Interrupt) throws -> ByteBuffer? {
    while true {
      if let line = nextInBuffer() { return line }
      if hasEnded { return nil }
      try fill(interrupt)
      if interrupt.isSet { return nil }
    }
  }

  private func nextInBuffer() -> ByteBuffer? {
    if let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
      var line = buffer.readSlice(length: end - buffer.readerIndex) ?? ByteBuffer()
      buffer.moveReaderIndex(forwardBy: 1)
      if line.readableBytesView.last == UInt8(ascii: "\r") { line.moveWriterIndex(to: line.writerIndex - 1) }
      return line
    }
    guard hasEnded, buffer.readableBytes > 0 else { return nil }
    defer { buffer.clear() }
    return buffer
  }

  private func fill(_ interrupt: Interrupt) throws {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&wait, 1, 100) == 0 {
      if interrupt.isSet { return }
    }
    buffer.discardReadBytes()
    let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 16) { bytes in
      max(0, Foundation.read(descriptor, bytes.baseAddress, bytes.count))
    }
    if count == 0 { hasEnded = true }
  }
}
