/// Why bytes of the Pulsar protocol could not be understood.
///
/// Every decoder of this module throws one of these for bad input and never traps. After an error a connection's byte
/// stream is no longer in step: close it.
public enum PulsarWireError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A frame announces more bytes than this side accepts.
  case frameTooLarge(size: Int, limit: Int)
  /// The sizes inside a frame or an entry contradict each other; the text names the part.
  case malformedFrame(String)
  /// A variable-length integer is longer than ten bytes, or does not fit 64 bits.
  case malformedVarint
  /// A field's key has number 0, or a wire type that this protocol does not use.
  case malformedTag
  /// A value reaches beyond the end of the message that contains it.
  case truncated
  /// A field that the protocol requires is absent.
  case missingField(String)
  /// A field is present with a value outside its range.
  case invalidField(String)
  /// A text field is not UTF-8.
  case invalidUTF8(String)
  /// The command's type is not one that this version of the protocol knows.
  case unknownCommand(type: UInt64)
  /// A cold command that the protobuf library refused; the text is its reason.
  case malformedCommand(String)
  /// The stored checksum is not that of the bytes.
  case checksumMismatch(expected: UInt32, computed: UInt32)

  /// One sentence: what is wrong with the bytes.
  public var description: String {
    switch self {
    case .frameTooLarge(let size, let limit):
      "A frame announces \(size) bytes, but at most \(limit) are accepted; raise maxMessageSize or send less."
    case .malformedFrame(let part): "The frame is malformed: \(part)."
    case .malformedVarint: "A variable-length integer is longer than ten bytes or does not fit 64 bits."
    case .malformedTag: "A field key has number 0 or a wire type that the protocol does not use."
    case .truncated: "A value reaches beyond the end of its message."
    case .missingField(let field): "The required field \(field) is absent."
    case .invalidField(let field): "The field \(field) has a value outside its range."
    case .invalidUTF8(let field): "The field \(field) is not valid UTF-8."
    case .unknownCommand(let type): "Command type \(type) is not known to this version of the protocol."
    case .malformedCommand(let reason): "The command cannot be decoded: \(reason)."
    case .checksumMismatch(let expected, let computed):
      "The checksum is \(computed) where the entry says \(expected); its bytes were changed on the way."
    }
  }
}
