import Foundation
import NIOCore
import NIOPosix

/// What errors of sockets mean to a person: the operating system's words, not the names of calls and descriptors.
public enum ErrorText {
  /// One sentence without a full stop. Errors that are written for people are passed on as they are.
  public static func describe(_ error: any Error) -> String {
    switch error {
    case let error as IOError: describe(errno: error.errnoCode)
    case let error as NIOConnectionError: describe(error)
    case ChannelError.connectTimeout(let time): "no answer within \(time.nanoseconds / 1_000_000) ms"
    case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, ChannelError.inputClosed,
      ChannelError.outputClosed,
      ChannelError.eof:
      "the connection is closed"
    default: "\(error)"
    }
  }

  private static func describe(_ error: NIOConnectionError) -> String {
    guard error.connectionErrors.isEmpty else {
      var reasons: [String] = []
      for reason in error.connectionErrors.map({ describe($0.error) }) where !reasons.contains(reason) {
        reasons.append(reason)
      }
      return reasons.joined(separator: ", ")
    }
    return error.dnsAError == nil && error.dnsAAAAError == nil
      ? "the connection failed" : "the host name \(error.host) cannot be resolved"
  }

  private static func describe(errno code: CInt) -> String {
    switch code {
    case EADDRINUSE: "the port is in use by another program"
    case EACCES: "permission denied"
    case EADDRNOTAVAIL: "this machine does not have the address"
    case ECONNREFUSED: "connection refused"
    case ECONNRESET, EPIPE: "the connection was reset by the other side"
    case ETIMEDOUT: "no answer in time"
    case EMFILE, ENFILE: "too many open files: raise the limit (ulimit -n)"
    default: String(cString: strerror(code))
    }
  }
}
