import Foundation
import Testing

@Suite struct ReadmeExampleTests {
  /// ``readmeExample()`` is compiled; this keeps it and README.md the same.
  @Test func theExampleOfTheReadmeIsTheOneThatIsCompiled() throws {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let readme = try String(contentsOf: here.appendingPathComponent("../../../README.md"), encoding: .utf8)
    let compiled = try String(contentsOf: here.appendingPathComponent("ReadmeExample.swift"), encoding: .utf8)
    let block = try #require(readme.components(separatedBy: "```swift\n").dropFirst().first)
    let example = try #require(block.components(separatedBy: "\n```").first)
    func lines(_ text: String) -> [String] {
      text.split(separator: "\n").map { $0.hasPrefix("  ") ? String($0.dropFirst(2)) : String($0) }.filter {
        !$0.hasPrefix("///") && !$0.hasPrefix("func ") && $0 != "import PulsarClient"
      }
    }
    // The function's closing brace is not the reader's.
    let shown = example.split(separator: "\n").map(String.init).filter { $0 != "import PulsarClient" }
    #expect(Array(lines(compiled).dropLast()) == shown)
    #expect(example.hasPrefix("import PulsarClient\n") && compiled.hasPrefix("import PulsarClient\n"))
  }
}
