import Foundation
import XCTest
@testable import FaceAllCore

/// The history of changes, undo, the bin, judgements and the review queue.
final class JournalTests: XCTestCase {
    private let model = GalleryModel(
        name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .object(["schema": .integer(1)])
    )
    private let jpeg = Data([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])
    private let noon = Date(timeIntervalSince1970: 1_800_000_000)

    private func photo(_ name: String) -> Photo {
        Photo(name: "\(name).jpg", sha256: sha256(Data(name.utf8)), width: 100, height: 80)
    }

    private var face: Face {
        Face(box: Box(x0: 1, y0: 2, x1: 30, y1: 40), score: 0.9, landmarks: (0..<5).map { Point(x: Float($0), y: 3) })
    }

    /// Ann with two faces, Bo with one, and one unassigned face near Ann's.
    private func example() throws -> Gallery {
        var gallery = try Gallery(model: model, size: 4, threshold: 1)
        let faces: [([Float], String?)] = [([1, 0, 0, 0], "Ann"), ([0.8, 0.6, 0, 0], "Ann"), ([0, 0, 1, 0], "Bo"),
                                           ([0.96, 0, 0.28, 0], nil)]
        for (number, (vector, name)) in faces.enumerated() {
            try gallery.enrol(
                face, vector: vector, name: name, photo: photo("\(number)"), thumbnail: jpeg, author: "Eve", now: noon
            )
        }
        return gallery
    }

    private func id(_ name: String, _ gallery: Gallery) throws -> String {
        try XCTUnwrap(gallery.people.first { $0.name == name }).id
    }

    /// Names with the ids of their faces: what a user sees of a gallery.
    private func state(_ gallery: Gallery) -> [String: Set<String>] {
        var found: [String: Set<String>] = [:]
        for face in gallery.faces {
            let name = face.person.flatMap { gallery.person($0)?.name } ?? "-"
            found[name, default: []].insert(face.id)
        }
        return found
    }

    private func saved(_ gallery: Gallery) throws -> Gallery {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        try gallery.save(to: url)
        return try Gallery.load(from: url)
    }

    func testEveryChangeIsUndone() throws {
        let before = try example()
        let ann = try id("Ann", before), bo = try id("Bo", before)
        let changes: [(String, (inout Gallery) throws -> Void)] = [
            ("renamed Ann to Anna", { try $0.rename(person: ann, to: "Anna") }),
            ("merged Bo into Ann (1 face)", { try $0.merge(person: bo, into: ann) }),
            ("moved Ann to the bin (2 faces)", { _ = try $0.remove(person: ann) }),
            ("moved 1 face to the bin", { try $0.remove(face: $0.faces[2].id) }),
            ("assigned 1 face to Bo", { try $0.assign(face: $0.faces[3].id, to: bo) }),
            ("assigned 1 face to Cleo", { [self] in
                try $0.enrol(face, vector: [0, 1, 0, 0], name: "Cleo", photo: photo("c"), thumbnail: jpeg)
            }),
            ("removed the name of 1 face", { try $0.assign(face: $0.faces[2].id, to: nil) }),
        ]
        for (summary, change) in changes {
            var gallery = before
            try change(&gallery)
            let after = state(gallery)
            XCTAssertEqual(gallery.history.first?.summary, summary)
            XCTAssertNotEqual(after, state(before), summary)
            gallery = try saved(gallery) // undoing survives a restart
            try gallery.undo()
            XCTAssertEqual(state(gallery), state(before), summary)
            XCTAssertEqual(gallery.history.first?.summary, "undid: \(summary)")
            try gallery.undo(gallery.history[0].id) // and is undone itself
            XCTAssertEqual(state(gallery), after, summary)
        }
    }

    func testUndoneFacesHaveTheirVectorsAndThumbnails() throws {
        let before = try example()
        var gallery = before
        try gallery.remove(person: try id("Ann", before))
        XCTAssertEqual(gallery.binCount, 2)
        try gallery.undo()
        for (number, face) in before.faces.enumerated() {
            let place = try XCTUnwrap(gallery.faces.firstIndex { $0.id == face.id })
            XCTAssertEqual(gallery.vector(place), before.vector(number))
            XCTAssertEqual(gallery.faces[place].thumbnail, face.thumbnail)
        }
        XCTAssertEqual(try gallery.recognise([1, 0, 0, 0])?.person?.name, "Ann")
    }

    func testChangesAreUndoneOneAfterAnother() throws {
        let before = try example()
        var gallery = before
        try gallery.rename(person: try id("Ann", gallery), to: "Anna")
        try gallery.merge(person: try id("Bo", gallery), into: try id("Anna", gallery))
        try gallery.undo()
        try gallery.undo()
        XCTAssertEqual(state(gallery), state(before))
    }

    func testAChangeThatWasChangedAgainIsNotUndone() throws {
        var gallery = try example()
        let ann = try id("Ann", gallery)
        try gallery.rename(person: ann, to: "Anna", author: "Eve")
        let first = gallery.history[0]
        try gallery.rename(person: ann, to: "Annette")
        let before = gallery
        XCTAssertThrowsError(try gallery.undo(first.id)) { error in
            guard case FaceAllError.cannotUndo = error else { return XCTFail("\(error)") }
        }
        XCTAssertEqual(gallery, before, "nothing is undone in part")
        XCTAssertEqual(first.author, "Eve")
    }

    func testAChangeIsUndoneOnce() throws {
        var gallery = try example()
        try gallery.rename(person: try id("Ann", gallery), to: "Anna")
        let change = gallery.history[0]
        XCTAssertTrue(gallery.canUndo(change))
        try gallery.undo(change.id)
        XCTAssertFalse(gallery.canUndo(change))
        XCTAssertThrowsError(try gallery.undo(change.id))
        XCTAssertThrowsError(try gallery.undo("unknown"))
    }

    func testANameThatIsTakenStopsUndoing() throws {
        var gallery = try example()
        try gallery.remove(person: try id("Bo", gallery))
        let change = gallery.history[0]
        try gallery.enrol(face, vector: [0, 0, 0, 1], name: "Bo", photo: photo("b"), thumbnail: jpeg)
        XCTAssertThrowsError(try gallery.undo(change.id)) { XCTAssertTrue("\($0)".contains("'Bo' is taken"), "\($0)") }
    }

    func testAnEmptiedBinCannotBeRestored() throws {
        var gallery = try example()
        try gallery.remove(person: try id("Ann", gallery), now: noon)
        let change = gallery.history[0]
        XCTAssertEqual(gallery.emptyBin(now: noon.addingTimeInterval(29 * 86_400)), 0)
        XCTAssertEqual(gallery.emptyBin(now: noon.addingTimeInterval(31 * 86_400)), 2)
        XCTAssertEqual(gallery.binCount, 0)
        XCTAssertFalse(gallery.canUndo(change))
        XCTAssertNil(try gallery.savedData().range(of: Data("\"vector\"".utf8)), "no vector is left in the file")
    }

    // MARK: - Bundles

    func testABundleCarriesHistoryAndJudgements() throws {
        var gallery = try example()
        let ann = try id("Ann", gallery)
        try gallery.rename(person: ann, to: "Anna", author: "Eve", now: noon)
        try gallery.judge(subject: gallery.faces[3].id, person: ann, same: false, now: noon)
        let other = try Gallery(bundle: try gallery.bundle())
        XCTAssertEqual(other.history, gallery.history)
        XCTAssertEqual(other.judgements, gallery.judgements)
        XCTAssertFalse(other.canUndo(other.history[0]), "a change of another device is undone there")
        var merged = try Gallery(model: model, size: 4, threshold: 1)
        _ = try merged.merge(other)
        _ = try merged.merge(other)
        XCTAssertEqual(Set(merged.history.map(\.id)), Set(gallery.history.map(\.id)))
        XCTAssertEqual(merged.judgements, gallery.judgements)
    }

    func testTheServersHistoryIsReadAndWritten() throws {
        let gallery = try Gallery(bundle: try Golden.data("server-history.faceall"))
        XCTAssertEqual(gallery.history.map(\.kind).sorted(), ["different", "rename", "undo"].sorted())
        XCTAssertEqual(gallery.judgements.map(\.same), [false])
        let again = try Gallery(bundle: try gallery.bundle())
        XCTAssertEqual(again, gallery)
        if let path = ProcessInfo.processInfo.environment["FACEALL_WRITE_HISTORY"] { // for the Python tests
            var changed = gallery
            try changed.rename(person: try id("Ann", changed), to: "Anna Phone", author: "phone")
            try changed.bundle().write(to: URL(fileURLWithPath: path))
        }
    }

    // MARK: - Review

    func testTheReviewQueueAsksAboutPossiblePeople() throws {
        var gallery = try example()
        let threshold = MatchThreshold(distance: 0.05, possible: 0.5)
        let queue = try gallery.reviewQueue(threshold: threshold)
        XCTAssertEqual(queue.map(\.candidate.person.name), ["Ann"])
        try gallery.answer(queue[0], same: true)
        XCTAssertEqual(gallery.faces(of: try id("Ann", gallery)).count, 3)
        XCTAssertEqual(try gallery.reviewQueue(threshold: threshold).count, 0)
        XCTAssertEqual(gallery.judgements.map(\.same), [true])
    }

    func testARefusedPersonIsNotAskedAgain() throws {
        var gallery = try example()
        let threshold = MatchThreshold(distance: 0.05, possible: 0.5)
        try gallery.answer(try gallery.reviewQueue(threshold: threshold)[0], same: false)
        XCTAssertEqual(try gallery.reviewQueue(threshold: threshold), [])
        XCTAssertEqual(try saved(gallery).judgements, gallery.judgements)
        XCTAssertThrowsError(try gallery.judge(subject: "x", person: "y", same: true))
    }
}
