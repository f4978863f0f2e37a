/// Why bytes could not be compressed or decompressed.
public enum CompressionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The stated size is negative or above the limit; nothing was allocated.
  case sizeBeyondLimit(size: Int, limit: Int)
  /// The bytes are not what the codec writes.
  case corrupt(CompressionCodec)
  /// The bytes decompress to another size than stated.
  case sizeMismatch(stated: Int, actual: Int?)
  /// The library refused; the text is its reason.
  case library(CompressionCodec, String)

  /// One sentence: what is wrong.
  public var description: String {
    switch self {
    case .sizeBeyondLimit(let size, let limit):
      "The uncompressed size of \(size) bytes is outside 0...\(limit); the message is refused."
    case .corrupt(let codec): "The bytes are not valid \(codec) data."
    case .sizeMismatch(let stated, let actual?):
      "The data decompresses to \(actual) bytes where \(stated) were stated."
    case .sizeMismatch(let stated, nil): "The data does not decompress to the \(stated) bytes that were stated."
    case .library(let codec, let reason): "The \(codec) library failed: \(reason)."
    }
  }
}
