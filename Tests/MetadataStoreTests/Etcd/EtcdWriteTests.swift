import Testing

@testable import MetadataStore

@Suite struct EtcdWriteTests {
  private func write(_ marker: Int64, _ answers: [EtcdWrite.Answer]) -> EtcdWrite {
    var write = EtcdWrite(markerRevision: marker)
    for answer in answers { write.receive(answer) }
    return write
  }

  private func change(_ revision: Int64) -> EtcdWrite.Marker { EtcdWrite.Marker(revision: revision, isOfChange: true) }

  @Test func anAnswerIsTheTruth() {
    #expect(write(0, [.done(revision: 7)]).step == .made(revision: 7))
    #expect(write(0, [.done(revision: 7)]).markerRevision == 7)
    #expect(write(5, [.refused(change(5))]).step == .mismatch)
    #expect(write(0, [.refused(nil)]).step == .mismatch)
  }

  @Test func aLostAnswerIsFoundByTheMarker() {
    #expect(write(5, [.lost, .refused(change(9))]).step == .made(revision: 9))
    #expect(write(5, [.lost, .refused(change(9))]).markerRevision == 9)
    #expect(write(5, [.lost, .lost, .done(revision: 11)]).step == .made(revision: 11))
    #expect(write(0, [.lost, .refused(change(3))]).step == .made(revision: 3))
  }

  @Test func aMismatchAfterALostAnswerIsSettledFirst() {
    var write = write(5, [.lost, .refused(change(5))])
    #expect(write.step == .settle)
    write.receive(.done(revision: 8))
    #expect(write.step == .mismatch)
    #expect(write.markerRevision == 8)
  }

  @Test func anAttemptThatCameTrueWhileItWasSettledCounts() {
    #expect(write(5, [.lost, .refused(change(5)), .refused(change(6))]).step == .made(revision: 6))
    let settled = EtcdWrite.Marker(revision: 6, isOfChange: false)
    #expect(write(5, [.lost, .refused(change(5)), .lost, .refused(settled)]).step == .mismatch)
  }

  @Test func withoutMarkersNothingIsClaimed() {
    #expect(write(5, [.refused(nil)]).step == .sessionLost)
    #expect(write(5, [.sessionEnded]).step == .sessionLost)
    #expect(write(5, [.lost, .refused(nil)]).step == .unknown)
    #expect(write(0, [.lost, .sessionEnded]).step == .unknown)
  }
}
