import Broker
import PulsarWire
import TopicLog

/// A message id as the REST API carries it, and the cursor position that `resetcursor` and `subscription` take.
struct MessageIDBody: Codable, Equatable {
  var ledgerId: Int64
  var entryId: Int64
  var partitionIndex: Int
  var batchIndex: Int?
  var isExcluded: Bool?
  var properties: [String: String]?

  init(_ position: Position, of topic: TopicName) {
    ledgerId = position.ledgerID
    entryId = position.entryID
    partitionIndex = topic.partition ?? -1
  }

  /// An object, or as old clients write it, the bare text `"earliest"` or `"latest"`.
  init(from decoder: any Decoder) throws {
    if let single = try? decoder.singleValueContainer(), let end = try? single.decode(String.self) {
      switch end {
      case "earliest":
        ledgerId = -1
        entryId = -1
      case "latest":
        ledgerId = .max
        entryId = .max
      default:
        throw DecodingError.dataCorruptedError(
          in: single, debugDescription: "\"\(end)\" is neither earliest nor latest")
      }
      partitionIndex = -1
      return
    }
    let container = try decoder.container(keyedBy: CodingKeys.self)
    ledgerId = try container.decode(Int64.self, forKey: .ledgerId)
    entryId = try container.decode(Int64.self, forKey: .entryId)
    partitionIndex = try container.decodeIfPresent(Int.self, forKey: .partitionIndex) ?? -1
    batchIndex = try container.decodeIfPresent(Int.self, forKey: .batchIndex)
    isExcluded = try container.decodeIfPresent(Bool.self, forKey: .isExcluded)
    properties = try container.decodeIfPresent([String: String].self, forKey: .properties)
  }

  init(_ id: MessageIDData) {
    ledgerId = id.ledgerID
    entryId = id.entryID
    partitionIndex = Int(id.partition)
    if id.batchIndex >= 0 { batchIndex = Int(id.batchIndex) }
  }

  var position: Position { Position(ledgerID: ledgerId, entryID: entryId) }

  /// Whether it names an end of the topic rather than a message.
  var isEnd: Bool { position <= .earliest || ledgerId == .max }

  /// Where a new subscription begins.
  var initialPosition: InitialPosition {
    if ledgerId == .max { return .latest }
    if position <= .earliest { return .earliest }
    guard isExcluded == true, entryId < .max else { return .at(position) }
    return .at(Position(ledgerID: ledgerId, entryID: entryId + 1))
  }
}
