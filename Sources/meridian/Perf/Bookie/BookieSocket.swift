import Foundation

/// Where a bookie listens.
struct BookieAddress: Sendable {
  var host: String
  var port: Int

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `host:port`; nil if it is not that.
  init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65535).contains(port), colon != text.startIndex
    else { return nil }
    self.init(host: String(text[..<colon]), port: port)
  }
}

/// A TCP connection that one thread works by hand, so that nothing lies between a measurement and the kernel.
final class BookieSocket {
  private let descriptor: Int32
  private let name: String

  init(_ address: BookieAddress) throws {
    name = "\(address.host):\(address.port)"
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let first = found else {
      throw CommandFailure("\(name) is no address")
    }
    defer { freeaddrinfo(found) }
    descriptor = socket(first.pointee.ai_family, first.pointee.ai_socktype, first.pointee.ai_protocol)
    guard descriptor >= 0, connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      let reason = String(cString: strerror(errno))
      if descriptor >= 0 { close(descriptor) }
      throw CommandFailure("\(name): \(reason)")
    }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close(descriptor) }

  /// Sends all bytes.
  func send(_ bytes: UnsafeRawBufferPointer) throws {
    var sent = 0
    while sent < bytes.count {
      let count = write(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw CommandFailure("\(name): \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  /// Waits for bytes, at most so long. Returns their number; 0 if none came.
  /// - Parameter atMost: nil waits for ever.
  func receive(into buffer: UnsafeMutableRawBufferPointer, atMost time: Duration?) throws -> Int {
    if let time {
      var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      // Whole milliseconds, of which none is lost.
      let milliseconds = Int32(clamping: Int64((max(0, time.inSeconds) * 1000).rounded(.up)))
      guard poll(&wanted, 1, milliseconds) > 0 else { return 0 }
    }
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 && errno == EINTR { continue }
      if count == 0 { throw CommandFailure("\(name) closed the connection") }
      guard count > 0 else { throw CommandFailure("\(name): \(String(cString: strerror(errno)))") }
      return count
    }
  }
}
