import PulsarWire
import Testing

@testable import Broker

@Suite struct SchemaCompatibilityTests {
  private func record(_ fields: String) -> SchemaDefinition {
    SchemaDefinition(
      type: .avro, data: Array(#"{"type":"record","name":"R","namespace":"n","fields":[\#(fields)]}"#.utf8))
  }

  private func allows(
    _ new: SchemaDefinition, after old: [SchemaDefinition], _ strategy: SchemaCompatibilityStrategy
  ) -> Bool {
    SchemaCompatibility.objection(to: new, after: old, strategy: strategy) == nil
  }

  private let a = #"{"name":"a","type":"int"}"#
  private let optional = #"{"name":"b","type":["null","string"],"default":null}"#
  private let required = #"{"name":"b","type":"string"}"#

  @Test func aNewFieldWithADefaultFitsEveryWay() {
    for strategy in [SchemaCompatibilityStrategy.backward, .forward, .full, .fullTransitive] {
      #expect(allows(record("\(a),\(optional)"), after: [record(a)], strategy))
    }
  }

  @Test func aNewFieldWithoutADefaultFitsOnlyForward() {
    #expect(!allows(record("\(a),\(required)"), after: [record(a)], .backward))
    #expect(allows(record("\(a),\(required)"), after: [record(a)], .forward))
    #expect(!allows(record("\(a),\(required)"), after: [record(a)], .full))
    #expect(allows(record(a), after: [record("\(a),\(required)")], .backward))
  }

  @Test func numbersGrowButDoNotShrink() {
    let long = record(#"{"name":"a","type":"long"}"#)
    #expect(allows(long, after: [record(a)], .backward))
    #expect(!allows(long, after: [record(a)], .forward))
    #expect(!allows(record(#"{"name":"a","type":"string"}"#), after: [record(a)], .backward))
  }

  @Test func transitiveStrategiesLookAtEveryVersion() {
    let first = record(#"{"name":"a","type":"int"},{"name":"c","type":"int"}"#)
    let second = record(#"{"name":"a","type":"int"}"#)
    let third = record(#"{"name":"a","type":"int"},{"name":"c","type":"string","default":""}"#)
    #expect(allows(third, after: [first, second], .backward))
    #expect(!allows(third, after: [first, second], .backwardTransitive))
  }

  @Test func enumsUnionsAndRecursion() {
    func enumeration(_ symbols: String, _ more: String = "") -> SchemaDefinition {
      record(#"{"name":"e","type":{"type":"enum","name":"E","symbols":[\#(symbols)]\#(more)}}"#)
    }
    #expect(!allows(enumeration(#""A""#), after: [enumeration(#""A","B""#)], .backward))
    #expect(allows(enumeration(#""A""#, #","default":"A""#), after: [enumeration(#""A","B""#)], .backward))
    let list = record(#"{"name":"next","type":["null","n.R"],"default":null}"#)
    #expect(allows(list, after: [list], .fullTransitive))
    let wide = record(#"{"name":"a","type":["int","string"]}"#)
    #expect(allows(wide, after: [record(a)], .backward))
    #expect(!allows(record(a), after: [wide], .backward))
  }

  @Test func typesDoNotMixAndTheExtremesAreExtreme() {
    let text = SchemaDefinition(type: .string, data: [])
    #expect(!allows(text, after: [record(a)], .backward))
    #expect(allows(text, after: [record(a)], .alwaysCompatible))
    #expect(!allows(record("\(a),\(optional)"), after: [record(a)], .alwaysIncompatible))
    #expect(allows(record(a), after: [], .alwaysIncompatible))
  }

  @Test(arguments: ["", "{", "[]x", #"{"type":"record"}"#, #"{"type":"record","name":"R","fields":[{"type":"x"}]}"#])
  func malformedAvroIsRefused(text: String) {
    #expect(!allows(SchemaDefinition(type: .avro, data: Array(text.utf8)), after: [], .alwaysCompatible))
  }

  @Test func deepNestingIsRefusedWithoutACrash() {
    let deep =
      String(repeating: #"{"type":"array","items":"#, count: 500) + #""int""# + String(repeating: "}", count: 500)
    #expect(!allows(SchemaDefinition(type: .avro, data: Array(deep.utf8)), after: [], .full))
  }

  @Test func versionsAreEightBytesBigEndian() {
    #expect(SchemaRecord.bytes(of: 258) == [0, 0, 0, 0, 0, 0, 1, 2])
    #expect(SchemaRecord.version(of: [0, 0, 0, 0, 0, 0, 1, 2]) == 258)
    #expect(SchemaRecord.version(of: [1]) == nil)
  }
}
