import Foundation
import XCTest
@testable import FaceAllCore

/// Hidden people and faces, notes, birth dates and covers: stored, undone, merged and carried in bundles.
final class DetailsTests: XCTestCase {
    private struct GoldenDetails: Decodable {
        struct Text: Decodable {
            let text: String
            let valid: Bool
        }

        let dates: [Text]
    }

    private let noon = Date(timeIntervalSince1970: 1_800_000_000)

    private func later(_ seconds: Double) -> Date { noon.addingTimeInterval(seconds) }

    private func server() throws -> Gallery { try Gallery(bundle: try Golden.data("server-details.faceall")) }

    private func person(_ name: String, _ gallery: Gallery) throws -> Person {
        try XCTUnwrap(gallery.people.first { $0.name == name })
    }

    /// Ann with two faces, Bo with one, and one unassigned face near Ann's.
    private func example() throws -> Gallery {
        let model = GalleryModel(name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .null)
        var gallery = try Gallery(model: model, size: 4, threshold: 1)
        let faces: [([Float], String?)] = [
            ([1, 0, 0, 0], "Ann"), ([0.8, 0.6, 0, 0], "Ann"), ([0, 0, 1, 0], "Bo"), ([0.96, 0, 0.28, 0], nil),
        ]
        for (number, (vector, name)) in faces.enumerated() {
            let side = Float(10 + 10 * number)
            let face = Face(
                box: Box(x0: 0, y0: 0, x1: side, y1: side), score: 0.9,
                landmarks: (0..<5).map { Point(x: Float($0), y: 3) }
            )
            let photo = Photo(name: "\(number).jpg", sha256: sha256(Data("\(number)".utf8)), width: 100, height: 80)
            try gallery.enrol(
                face, vector: vector, name: name, photo: photo, thumbnail: Data([0xff, 0xd8, 0xff, 0]), now: noon
            )
        }
        return gallery
    }

    private func saved(_ gallery: Gallery) throws -> Gallery {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        try gallery.save(to: url)
        return try Gallery.load(from: url)
    }

    // MARK: - Setting

    func testHiddenPeopleAreNotListedAndNotSuggestedButRecognised() throws {
        var gallery = try example()
        let ann = try person("Ann", gallery), threshold = MatchThreshold(distance: 1)
        XCTAssertEqual(try gallery.reviewQueue(threshold: threshold).map(\.candidate.person.name), ["Ann"])
        XCTAssertEqual(try gallery.hide(people: [ann.id], now: later(1)), 1)
        XCTAssertEqual(gallery.shownPeople.map(\.name), ["Bo"])
        XCTAssertEqual(gallery.hiddenPeople.map(\.name), ["Ann"])
        XCTAssertEqual(try gallery.reviewQueue(threshold: threshold), [])
        XCTAssertEqual(try gallery.recognise([1, 0, 0, 0])?.person?.name, "Ann")
        XCTAssertEqual(gallery.history[0].summary, "hid Ann")
        XCTAssertEqual(try gallery.hide(people: [ann.id], now: later(2)), 0, "she is hidden already")
        try gallery.hide(people: [ann.id], hidden: false, now: later(3))
        XCTAssertEqual(gallery.history[0].summary, "showed Ann again")
        XCTAssertEqual(gallery.shownPeople.count, 2)
    }

    func testAQuestionAboutANearPersonSurvivesHiddenOnes() throws {
        var gallery = try example()
        let query = try XCTUnwrap(gallery.faces.firstIndex { $0.person == nil })
        for number in 0..<5 { // nearer than Ann, and hidden
            gallery.add(gallery.vector(query), face: "f\(number)", person: "p\(number)", name: "P\(number)")
        }
        try gallery.hide(people: (0..<5).map { "p\($0)" })
        let items = try gallery.reviewQueue(threshold: MatchThreshold(distance: 1))
        XCTAssertEqual(items.map(\.candidate.person.name), ["Ann"])
    }

    func testHiddenFacesAreNotSuggested() throws {
        var gallery = try example()
        let face = try XCTUnwrap(gallery.faces.first { $0.person == nil })
        XCTAssertEqual(try gallery.hide(faces: [face.id]), 1)
        XCTAssertEqual(gallery.history[0].summary, "hid 1 face")
        XCTAssertEqual(try gallery.reviewQueue(threshold: MatchThreshold(distance: 1)), [])
        try gallery.undo()
        XCTAssertEqual(try gallery.reviewQueue(threshold: MatchThreshold(distance: 1)).count, 1)
        XCTAssertThrowsError(try gallery.hide(faces: ["unknown"]))
    }

    func testDetailsAreSetCheckedAndRemoved() throws {
        var gallery = try example()
        let ann = try person("Ann", gallery), bo = try person("Bo", gallery)
        let cover = gallery.faces(of: ann.id)[0].id
        try gallery.set(note: " aunt \n", of: ann.id, now: later(1))
        try gallery.set(born: "1961-03-05", of: ann.id, now: later(2))
        try gallery.set(cover: cover, of: ann.id, now: later(3))
        let found = try XCTUnwrap(gallery.person(ann.id)?.details)
        XCTAssertEqual([found.note, found.born, found.cover], ["aunt", "1961-03-05", cover])
        XCTAssertEqual(found.changed, Timestamp(later(3)))
        let before = gallery
        XCTAssertThrowsError(try gallery.set(note: String(repeating: "x", count: 2001), of: ann.id))
        XCTAssertThrowsError(try gallery.set(note: "a\0b", of: ann.id))
        XCTAssertThrowsError(try gallery.set(born: "5.3.1961", of: ann.id)) { error in
            XCTAssertEqual("\(error)", "born is '5.3.1961', expected a date such as 2019-05-31")
        }
        XCTAssertThrowsError(try gallery.set(cover: cover, of: bo.id))
        XCTAssertThrowsError(try gallery.hide(people: [ann.id, "unknown"]))
        XCTAssertEqual(gallery, before)
        try gallery.set(note: "", of: ann.id)
        try gallery.set(born: nil, of: ann.id)
        XCTAssertNil(gallery.person(ann.id)?.details?.note)
        XCTAssertNil(gallery.person(ann.id)?.details?.born)
        let changes = gallery.history.count
        try gallery.set(born: nil, of: ann.id)
        XCTAssertEqual(gallery.history.count, changes, "a change that changes nothing is not recorded")
    }

    func testDatesAreThoseOfTheServer() throws {
        let golden: GoldenDetails = try Golden.read("details.json")
        XCTAssertGreaterThan(golden.dates.count, 10)
        for date in golden.dates {
            XCTAssertEqual(isCalendarDate(date.text), date.valid, date.text)
        }
    }

    func testTheCoverIsTheChosenFaceOrALargeOneThatIsNotHidden() throws {
        var gallery = try example()
        let ann = try person("Ann", gallery), faces = gallery.faces(of: ann.id)
        XCTAssertEqual(gallery.cover(of: ann.id)?.id, faces[1].id, "the larger one")
        try gallery.hide(faces: [faces[1].id])
        XCTAssertEqual(gallery.cover(of: ann.id)?.id, faces[0].id)
        try gallery.set(cover: faces[1].id, of: ann.id)
        XCTAssertEqual(gallery.cover(of: ann.id)?.id, faces[1].id)
        try gallery.remove(face: faces[1].id)
        XCTAssertEqual(gallery.cover(of: ann.id)?.id, faces[0].id)
        XCTAssertNil(gallery.cover(of: "unknown"))
    }

    // MARK: - Undo

    func testDetailsAreUndoneAlsoAfterSaving() throws {
        let before = try example()
        let ann = try person("Ann", before)
        let changes: [(inout Gallery) throws -> Void] = [
            { try $0.hide(people: [ann.id], now: Date(timeIntervalSince1970: 1_800_000_100)) },
            { try $0.set(note: "aunt", of: ann.id) },
            { try $0.set(born: "1961-03-05", of: ann.id) },
            { try $0.set(cover: $0.faces(of: ann.id)[0].id, of: ann.id) },
        ]
        for change in changes {
            var gallery = before
            try change(&gallery)
            var again = try saved(gallery)
            XCTAssertEqual(again.person(ann.id)?.details, gallery.person(ann.id)?.details)
            try again.undo()
            let left = try XCTUnwrap(again.person(ann.id)?.details)
            XCTAssertTrue(left.says(PersonDetails(changed: left.changed)))
            try again.undo(again.history[0].id)
            let back = try XCTUnwrap(again.person(ann.id)?.details)
            XCTAssertTrue(back.says(try XCTUnwrap(gallery.person(ann.id)?.details)))
        }
    }

    func testARenameIsUndoneAfterAChangeOfDetailsAndKeepsThem() throws {
        var gallery = try example()
        let ann = try person("Ann", gallery)
        try gallery.rename(person: ann.id, to: "Anna", now: later(1))
        let rename = gallery.history[0].id
        try gallery.set(note: "aunt", of: ann.id, now: later(2))
        let note = gallery.history[0].id
        try gallery.undo(rename, now: later(3))
        XCTAssertEqual(gallery.person(ann.id)?.name, "Ann")
        XCTAssertEqual(gallery.person(ann.id)?.details?.note, "aunt")
        try gallery.set(note: "great-aunt", of: ann.id, now: later(4))
        XCTAssertThrowsError(try gallery.undo(note)) { error in
            XCTAssertTrue("\(error)".contains("the details of a person was changed again"), "\(error)")
        }
    }

    func testARemovedPersonComesBackWithTheirDetails() throws {
        var gallery = try example()
        let ann = try person("Ann", gallery)
        try gallery.set(note: "aunt", of: ann.id)
        try gallery.remove(person: ann.id)
        try gallery.undo()
        XCTAssertEqual(gallery.person(ann.id)?.details?.note, "aunt")
    }

    // MARK: - Bundles and merging

    func testTheServersDetailsAreReadAndWrittenUnchanged() throws {
        let gallery = try server()
        let ann = try person("Ann", gallery), details = try XCTUnwrap(ann.details)
        XCTAssertEqual([details.note, details.born], ["aunt", "1961-03-05"])
        XCTAssertTrue(details.hidden)
        XCTAssertEqual(gallery.cover(of: ann.id)?.id, details.cover)
        XCTAssertNil(try person("Bo", gallery).details)
        XCTAssertEqual(gallery.faces.filter(\.hidden).map(\.person), [nil])
        let again = try Gallery(bundle: try gallery.bundle())
        XCTAssertTrue(again == gallery)
        XCTAssertEqual(gallery.history.map(\.summary).sorted().suffix(2), ["hid 1 face", "hid Ann"])
    }

    func testTheLaterDetailsWin() throws {
        let server = try example()
        let ann = try person("Ann", server)
        var phone = server, merged = server
        try phone.set(note: "phone", of: ann.id, now: later(10))
        try merged.set(note: "server", of: ann.id, now: later(5))
        var older = merged
        XCTAssertEqual(try merged.merge(phone).conflicts, [])
        XCTAssertEqual(merged.person(ann.id)?.details?.note, "phone")
        XCTAssertEqual(try phone.merge(older).conflicts.count, 1)
        XCTAssertEqual(phone.person(ann.id)?.details?.note, "phone")
        try older.hide(people: [ann.id], now: later(20))
        XCTAssertEqual(try phone.merge(older).conflicts, [])
        XCTAssertEqual(phone.hiddenPeople.map(\.name), ["Ann"])
        XCTAssertEqual(phone.person(ann.id)?.details?.note, "server", "the four belong together")
    }

    func testDamagedDetailsAreRefused() throws {
        let old = try Archive(try Golden.data("server-details.faceall"))
        for (from, to) in [("1961-03-05", "1961-02-30"), ("\"aunt\"", "\" aunt\""), ("\"hidden\": true", "\"hidden\": 1")] {
            var new = Archive()
            var sums: [String: String] = [:]
            for name in old.names where name != "manifest.json" {
                var content = try XCTUnwrap(old[name])
                if name == "people.json" {
                    let text = try XCTUnwrap(String(data: content, encoding: .utf8))
                    XCTAssertTrue(text.contains(from), from)
                    content = Data(text.replacingOccurrences(of: from, with: to).utf8)
                    sums[sha256(try XCTUnwrap(old[name]))] = sha256(content)
                }
                new.set(name, content)
            }
            var manifest = try XCTUnwrap(old["manifest.json"].flatMap { String(data: $0, encoding: .utf8) })
            for (before, after) in sums {
                manifest = manifest.replacingOccurrences(of: before, with: after)
            }
            let size = try XCTUnwrap(old["people.json"]).count
            manifest = manifest.replacingOccurrences(of: "\"size\": \(size)", with: "\"size\": \(new["people.json"]?.count ?? 0)")
            new.set("manifest.json", Data(manifest.utf8))
            XCTAssertThrowsError(try Gallery(bundle: new.data()), from) { error in
                XCTAssertTrue("\(error)".contains("damaged"), "\(error)")
                XCTAssertFalse("\(error)".contains("differs from the manifest"), "\(error)")
            }
        }
    }

    /// Writes the server's bundle with other details to the path in FACEALL_WRITE_DETAILS, for the Python tests.
    func testDetailsAreChangedInTheServersBundle() throws {
        var gallery = try server()
        let ann = try person("Ann", gallery), bo = try person("Bo", gallery)
        let changed = try XCTUnwrap(ann.details).changed.text
        let now = try XCTUnwrap(ISO8601DateFormatter().date(from: changed)).addingTimeInterval(60)
        try gallery.hide(people: [ann.id], hidden: false, author: "phone", now: now)
        try gallery.set(note: "from the phone", of: ann.id, author: "phone", now: now)
        try gallery.set(cover: nil, of: ann.id, author: "phone", now: now)
        try gallery.hide(people: [bo.id], author: "phone", now: now)
        try gallery.set(born: "2019-05-31", of: bo.id, author: "phone", now: now)
        let bundle = try gallery.bundle()
        XCTAssertEqual(try Gallery(bundle: bundle).people, gallery.people)
        if let path = ProcessInfo.processInfo.environment["FACEALL_WRITE_DETAILS"] {
            try bundle.write(to: URL(fileURLWithPath: path))
        }
    }
}
