import Broker
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

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    ledgerId = try container.decode(Int64.self, forKey: .ledgerId)
    entryId = try container.decode(Int64.self, forKey: .entryId)
    partitionIndex = try container.decodeIfPresent(Int.self, forKey: .partitionIndex) ?? -1
    batchIndex = try container.decodeIfPresent(Int.self, forKey: .batchIndex)
    isExcluded = try container.decodeIfPresent(Bool.self, forKey: .isExcluded)
    properties = try container.decodeIfPresent([String: String].self, forKey: .properties)
  }

  /// The position that is delivered next.
  var next: Position {
    let position = Position(ledgerID: ledgerId, entryID: entryId)
    guard isExcluded == true, position != .earliest, position != .latest, entryId < .max else { return position }
    return Position(ledgerID: ledgerId, entryID: entryId + 1)
  }
}
