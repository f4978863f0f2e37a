/// Why a link or one of its streams does not work: one sentence for people.
struct LinkError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) {
    self.description = description
  }
}
