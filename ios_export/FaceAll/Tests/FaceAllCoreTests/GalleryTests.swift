import Foundation
import XCTest
@testable import FaceAllCore

final class GalleryTests: XCTestCase {
    private struct Search: Decodable {
        let vectors, queries: [[Float]]
        let distances: [[Double]]
        let nearest: [[Int]]
    }

    private let model = GalleryModel(
        name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .object(["schema": .integer(1)])
    )
    private let jpeg = Data([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])
    private let noon = Date(timeIntervalSince1970: 1_800_000_000)

    private func photo(_ name: String) -> Photo {
        Photo(name: "\(name).jpg", sha256: sha256(Data(name.utf8)), width: 100, height: 80)
    }

    private var face: Face {
        Face(
            box: Box(x0: 1, y0: 2, x1: 30, y1: 40), score: 0.9,
            landmarks: (0..<5).map { Point(x: Float($0), y: 3.25) }
        )
    }

    private func vector(_ place: Int, of size: Int = 4) -> [Float] {
        (0..<size).map { $0 == place ? 1 : 0 }
    }

    /// Ann with two faces, Bo with one, and one unassigned face.
    private func example() throws -> Gallery {
        var gallery = try Gallery(model: model, size: 4, threshold: 1)
        try gallery.enrol(face, vector: vector(0), name: "Ann", photo: photo("a"), thumbnail: jpeg, now: noon)
        try gallery.enrol(face, vector: [0.8, 0.6, 0, 0], name: "Ann ", photo: photo("b"), thumbnail: jpeg, now: noon)
        try gallery.enrol(face, vector: vector(2), name: "Bo", photo: photo("c"), thumbnail: jpeg, now: noon)
        try gallery.enrol(face, vector: vector(3), name: nil, photo: photo("d"), thumbnail: jpeg, now: noon)
        return gallery
    }

    private func id(_ name: String, _ gallery: Gallery) throws -> String {
        try XCTUnwrap(gallery.people.first { $0.name == name }).id
    }

    // MARK: - Searching

    func testDistancesAndTheirOrderAreThoseOfTheServer() throws {
        let golden: Search = try Golden.read("search.json")
        var gallery = try Gallery(model: model, size: 16, threshold: nil)
        for (number, vector) in golden.vectors.enumerated() {
            try gallery.enrol(face, vector: vector, name: "\(number)", photo: photo("\(number)"), thumbnail: jpeg)
        }
        for (query, (distances, nearest)) in zip(golden.queries, zip(golden.distances, golden.nearest)) {
            let matches = try gallery.search(query, count: 10)
            XCTAssertEqual(matches.map { $0.person?.name }, nearest.map { "\($0)" })
            assertClose(matches.map(\.distance), nearest.map { Float(distances[$0]) })
            assertClose(matches.map(\.similarity), nearest.map { Float(1 - distances[$0] / 2) })
        }
    }

    func testTheThresholdDecidesWhoIsRecognised() throws {
        let gallery = try example()
        XCTAssertEqual(try gallery.recognise(vector(0))?.person?.name, "Ann")
        XCTAssertNil(try gallery.recognise(vector(1), limit: 0.5))
        XCTAssertEqual(try gallery.recognise(vector(1), limit: 0.9)?.person?.name, "Ann")
        XCTAssertNil(try gallery.recognise(vector(3)), "an unassigned face gives no name")
        XCTAssertEqual(try gallery.search(vector(3), count: 1).map(\.distance), [0])
        XCTAssertThrowsError(try gallery.search([1, 0], count: 1))
        XCTAssertThrowsError(try gallery.search([2, 0, 0, 0], count: 1))
        XCTAssertThrowsError(try gallery.search([.nan, 0, 0, 0], count: 1))
    }

    // MARK: - Changing

    func testPeopleAreRenamedMergedAndRemoved() throws {
        var gallery = try example()
        let ann = try id("Ann", gallery), bo = try id("Bo", gallery)
        XCTAssertEqual(gallery.faces(of: ann).count, 2)
        XCTAssertThrowsError(try gallery.rename(person: ann, to: "Bo"))
        XCTAssertThrowsError(try gallery.rename(person: ann, to: " \n"))
        try gallery.rename(person: ann, to: "Zoe\u{308}")
        XCTAssertEqual(gallery.person(ann).map { Array($0.name.unicodeScalars).count }, 3, "names are composed")
        try gallery.merge(person: bo, into: ann)
        XCTAssertEqual(gallery.faces(of: ann).count, 3)
        XCTAssertNil(gallery.person(bo))
        XCTAssertEqual(try gallery.remove(person: ann), 3)
        XCTAssertEqual(gallery.people, [])
        XCTAssertEqual(gallery.faces.count, 1)
        XCTAssertEqual(gallery.vector(0), vector(3), "the vector moves with its face")
        XCTAssertThrowsError(try gallery.remove(person: ann))
    }

    func testAPersonWithoutFacesIsRemoved() throws {
        var gallery = try example()
        let bo = try id("Bo", gallery)
        try gallery.remove(face: try XCTUnwrap(gallery.faces(of: bo).first).id)
        XCTAssertNil(gallery.person(bo))
        XCTAssertThrowsError(try gallery.remove(face: "unknown"))
    }

    func testInvalidValuesAreNotEnrolled() throws {
        var gallery = try example()
        let before = gallery
        XCTAssertThrowsError(
            try gallery.enrol(face, vector: [3, 0, 0, 0], name: "C", photo: photo("e"), thumbnail: jpeg))
        XCTAssertThrowsError(
            try gallery.enrol(face, vector: vector(0), name: "", photo: photo("e"), thumbnail: jpeg))
        XCTAssertThrowsError(
            try gallery.enrol(face, vector: vector(0), name: "C", photo: photo("e"), thumbnail: Data([1, 2, 3])))
        XCTAssertEqual(gallery, before)
    }

    // MARK: - Files

    func testSavingAndLoadingLosesNothing() throws {
        var gallery = try example()
        try gallery.merge(person: try id("Bo", gallery), into: try id("Ann", gallery))
        try gallery.remove(face: gallery.faces[0].id)
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        try gallery.save(to: url)
        let again = try Gallery.load(from: url)
        XCTAssertEqual(Set(again.faces.map(\.id)), Set(gallery.faces.map(\.id)))
        XCTAssertEqual(again.otherIDs, gallery.otherIDs)
        XCTAssertEqual(again.removedFaces, gallery.removedFaces)
        XCTAssertEqual(again.people, gallery.people)
        for (number, face) in again.faces.enumerated() {
            let old = try XCTUnwrap(gallery.faces.firstIndex { $0.id == face.id })
            XCTAssertEqual(gallery.faces[old], face)
            XCTAssertEqual(gallery.vector(old), again.vector(number))
        }
        XCTAssertEqual(try again.bundle(), try gallery.bundle(), "the same gallery gives the same bytes")
    }

    func testTheServersBundleIsRead() throws {
        let gallery = try Gallery(bundle: try Golden.data("server.faceall"))
        XCTAssertEqual(Set(gallery.people.map(\.name)), ["Ann", "Zoë Ångström"])
        XCTAssertEqual(gallery.faces.count, 6)
        XCTAssertEqual(gallery.faces.filter { $0.person == nil }.count, 1)
        XCTAssertEqual(gallery.size, 8)
        let ann = try id("Ann", gallery)
        let number = try XCTUnwrap(gallery.faces.firstIndex { $0.person == ann })
        XCTAssertEqual(try gallery.recognise(gallery.vector(number))?.person?.name, "Ann")
    }

    func testARoundTripKeepsTheServersBundle() throws {
        let data = try Golden.data("server.faceall")
        let gallery = try Gallery(bundle: data)
        let again = try Gallery(bundle: try gallery.bundle())
        XCTAssertEqual(again, gallery)
        let old = try Archive(data), new = try Archive(try gallery.bundle())
        XCTAssertEqual(old.names, new.names)
        for name in old.names where name.hasPrefix("thumbnails/") || name == "vectors.f32" {
            XCTAssertEqual(old[name], new[name], name)
        }
    }

    /// Writes the server's bundle with two more faces to the path in FACEALL_WRITE_BUNDLE, for the Python tests.
    func testFacesAreEnrolledIntoTheServersBundle() throws {
        var gallery = try Gallery(bundle: try Golden.data("server.faceall"))
        let known = gallery.vector(0)
        let turned = Array(known.reversed())
        try gallery.enrol(face, vector: turned, name: "Cleo", photo: photo("phone-1"), thumbnail: try thumbnail(gallery))
        try gallery.enrol(face, vector: known, name: "Ann", photo: photo("phone-2"), thumbnail: try thumbnail(gallery))
        let bundle = try gallery.bundle()
        XCTAssertEqual(try Gallery(bundle: bundle).faces.count, 8)
        if let path = ProcessInfo.processInfo.environment["FACEALL_WRITE_BUNDLE"] {
            try bundle.write(to: URL(fileURLWithPath: path))
        }
    }

    private func thumbnail(_ gallery: Gallery) throws -> Data {
        try XCTUnwrap(gallery.faces.first).thumbnail
    }

    func testDamagedBytesAreDetected() throws {
        let data = try Golden.data("server.faceall")
        for place in stride(from: 0, to: data.count, by: 97) {
            var damaged = data
            damaged[place] ^= 0x10
            if let gallery = try? Gallery(bundle: damaged) { // dates and versions of ZIP entries are ignored
                XCTAssertEqual(gallery, try Gallery(bundle: data), "byte \(place)")
            }
        }
        for length in [0, 10, 21, 22, 100, data.count / 2, data.count - 1] {
            XCTAssertThrowsError(try Gallery(bundle: data.prefix(length)), "\(length) bytes") { error in
                XCTAssertTrue(error is FaceAllError, "\(error)")
            }
        }
    }

    func testANewerBundleIsReportedAsNewerNotDamaged() throws {
        let old = try Archive(try Golden.data("server.faceall"))
        var new = Archive()
        for name in old.names {
            var content = try XCTUnwrap(old[name])
            if name == "manifest.json" {
                let text = try XCTUnwrap(String(data: content, encoding: .utf8))
                let newer = text.replacingOccurrences(of: "\"format\": 1", with: "\"format\": 2")
                    .replacingOccurrences(of: "\"format\":1", with: "\"format\":2")
                XCTAssertNotEqual(newer, text)
                content = Data(newer.utf8)
            }
            new.set(name, content)
        }
        XCTAssertThrowsError(try Gallery(bundle: new.data())) { error in
            guard case FaceAllError.newerFile = error else { return XCTFail("\(error)") }
        }
    }

    // MARK: - Merging

    func testMergingAddsOnlyNewFacesAndPeople() throws {
        let server = try example()
        var phone = server
        try phone.enrol(face, vector: vector(1), name: "Cleo", photo: photo("p"), thumbnail: jpeg, now: noon)
        var merged = server
        XCTAssertEqual(try merged.merge(phone), MergeReport(people: 1, faces: 1, conflicts: []))
        XCTAssertEqual(merged.faces.count, 5)
        XCTAssertEqual(try merged.merge(phone), MergeReport())
        XCTAssertEqual(try merged.recognise(vector(1))?.person?.name, "Cleo")
    }

    func testTheLaterNameWins() throws {
        let server = try example()
        let ann = try id("Ann", server)
        var phone = server, merged = server
        try phone.rename(person: ann, to: "Anna", now: noon.addingTimeInterval(60))
        XCTAssertEqual(try merged.merge(phone).conflicts.count, 1)
        XCTAssertEqual(merged.person(ann)?.name, "Anna")
        var earlier = merged
        XCTAssertEqual(try earlier.merge(server).conflicts.count, 1)
        XCTAssertEqual(earlier.person(ann)?.name, "Anna")
    }

    func testTheSameNameIsTheSamePersonAndTheIdIsRemembered() throws {
        var phone = try Gallery(model: model, size: 4, threshold: nil)
        try phone.enrol(face, vector: vector(1), name: "Bo", photo: photo("p"), thumbnail: jpeg, now: noon)
        var merged = try example()
        XCTAssertEqual(try merged.merge(phone), MergeReport(people: 0, faces: 1, conflicts: []))
        XCTAssertEqual(merged.faces(of: try id("Bo", merged)).count, 2)
        try merged.rename(person: try id("Bo", merged), to: "Bob", now: noon.addingTimeInterval(5))
        try phone.enrol(face, vector: vector(3), name: "Bo", photo: photo("q"), thumbnail: jpeg, now: noon)
        XCTAssertEqual(try merged.merge(phone).faces, 1)
        XCTAssertEqual(merged.faces(of: try id("Bob", merged)).count, 3)
    }

    /// A gallery with one group without a name, as the server calls it.
    private func withGroup(_ place: Int, called name: String, _ photo: Photo) throws -> Gallery {
        var gallery = try Gallery(model: model, size: 4, threshold: nil)
        try gallery.enrol(face, vector: vector(place), name: name, photo: photo, thumbnail: jpeg, now: noon)
        gallery.people[0].isUnnamed = true
        return gallery
    }

    func testGroupsWithoutANameAreComparedByIdOnly() throws {
        let phone = try withGroup(0, called: "unnamed 1", photo("p"))
        var merged = try withGroup(1, called: "unnamed 1", photo("q"))
        let own = merged.people[0].id, others = phone.people[0].id
        XCTAssertEqual(try merged.merge(phone), MergeReport(people: 1, faces: 1, conflicts: []))
        XCTAssertEqual(merged.people.map(\.name), ["unnamed 1", "unnamed 2"])
        XCTAssertEqual(merged.faces(of: own).count, 1)
        XCTAssertEqual(try merged.merge(phone), MergeReport(), "the number differs, which is no conflict")
        var named = phone
        try named.rename(person: others, to: "Ann", now: noon)
        XCTAssertEqual(try merged.merge(named), MergeReport(), "a name replaces none, whenever it was given")
        XCTAssertEqual(merged.person(others)?.name, "Ann")
        XCTAssertEqual(try merged.merge(phone), MergeReport())
        XCTAssertEqual(merged.person(others)?.name, "Ann")
    }

    func testBundlesSayWhichPeopleAreGroups() throws {
        var gallery = try withGroup(0, called: "unnamed 1", photo("p"))
        try gallery.enrol(face, vector: vector(1), name: "unnamed 7", photo: photo("q"), thumbnail: jpeg, now: noon)
        let again = try Gallery(bundle: try gallery.bundle())
        XCTAssertEqual(again.person(try id("unnamed 1", gallery))?.isUnnamed, true)
        XCTAssertEqual(again.person(try id("unnamed 7", gallery))?.isUnnamed, false)
        let old = #"{"id":"a","name":"unnamed 12","created":"2026-11-22T14:40:00Z","changed":"2026-11-22T14:40:00Z"}"#
        XCTAssertTrue(try JSONDecoder().decode(Person.self, from: Data(old.utf8)).isUnnamed)
        let person = old.replacingOccurrences(of: "unnamed 12", with: "unnamed twelve")
        XCTAssertFalse(try JSONDecoder().decode(Person.self, from: Data(person.utf8)).isUnnamed)
    }

    func testUndoingANameMakesAGroupAgain() throws {
        var gallery = try withGroup(0, called: "unnamed 1", photo("p"))
        let group = gallery.people[0].id
        try gallery.rename(person: group, to: "Ann", now: noon)
        XCTAssertEqual(gallery.person(group)?.isUnnamed, false)
        try gallery.undo()
        XCTAssertEqual(gallery.person(group)?.name, "unnamed 1")
        XCTAssertEqual(gallery.person(group)?.isUnnamed, true)
    }

    func testTimeAndCameraOfAPhotoAreKeptAndCompleted() throws {
        let known = Photo(
            name: "p.jpg", sha256: photo("p").sha256, width: 100, height: 80, taken: "2024-05-01T12:00:00",
            camera: "Canon EOS"
        )
        var server = try Gallery(model: model, size: 4, threshold: nil)
        try server.enrol(face, vector: vector(0), name: "Ann", photo: known, thumbnail: jpeg, now: noon)
        XCTAssertEqual(try Gallery(bundle: try server.bundle()).faces[0].photo, known)
        var phone = try Gallery(model: model, size: 4, threshold: nil)
        try phone.enrol(face, vector: vector(0), name: "Ann", photo: photo("p"), thumbnail: jpeg, now: noon)
        XCTAssertNil(phone.faces[0].photo.taken)
        XCTAssertEqual(try phone.merge(server), MergeReport())
        XCTAssertEqual(phone.faces[0].photo, known)
    }

    func testAVideosMomentIsKept() throws {
        let moment = Moment(seconds: 12.5, first: 10, last: 15)
        let stored = StoredFace(
            id: "0a52c0de-7a3c-4a1e-9a53-0d6a7a1f9b10", person: nil, isPrimary: false, photo: photo("v"), face: face,
            thumbnail: jpeg, created: Timestamp(noon), changed: Timestamp(noon), moment: moment
        )
        var gallery = try Gallery(model: model, size: 4, threshold: nil)
        gallery.faces = [stored]
        gallery.vectors = vector(0)
        XCTAssertEqual(try Gallery(bundle: try gallery.bundle()).faces.map(\.moment), [moment])
        var merged = try example()
        XCTAssertEqual(try merged.merge(gallery), MergeReport(people: 0, faces: 1, conflicts: []))
        XCTAssertEqual(merged.faces.compactMap(\.moment), [moment])
    }

    func testARemovedFaceIsAddedAgainOnlyIfItIsRestored() throws {
        let server = try example()
        var phone = server
        try phone.remove(person: try id("Ann", phone))
        XCTAssertEqual(try phone.merge(server), MergeReport())
        XCTAssertEqual(phone.people.map(\.name), ["Bo"])
        XCTAssertEqual(try phone.merge(server, restore: true), MergeReport(people: 1, faces: 2, conflicts: []))
    }

    func testAnotherModelsVectorsAreRefused() throws {
        let other = GalleryModel(name: "other", fingerprint: String(repeating: "b", count: 64), manifest: .null)
        var merged = try example()
        XCTAssertThrowsError(try merged.merge(try Gallery(model: other, size: 4, threshold: nil))) { error in
            XCTAssertTrue("\(error)".contains("'other'"))
        }
    }

    // MARK: - The contract and the checksums

    func testTheManifestIsRead() throws {
        let manifest = try Manifest(json: try Golden.data("manifest.json"))
        XCTAssertEqual(manifest.name, "facenet-example")
        XCTAssertEqual(manifest.embeddingSize, 16)
        XCTAssertEqual(manifest.crop, CropRule(margin: 0.15, shape: .stretch, shift: 0, border: .black))
        XCTAssertEqual(manifest.matchThreshold, 1.05)
        XCTAssertEqual(manifest.standardisation.scale, 1 / 128)
    }

    func testAManifestThatIsNewerOrDamagedIsRefused() {
        XCTAssertThrowsError(try Manifest(json: Data(#"{"schema": 5}"#.utf8))) { error in
            guard case FaceAllError.newerFile = error else { return XCTFail("\(error)") }
        }
        XCTAssertThrowsError(try Manifest(json: Data(#"{"schema": 1}"#.utf8))) { error in
            XCTAssertEqual(error as? FaceAllError, .badManifest("the model's manifest is damaged: 'name' is missing"))
        }
        XCTAssertThrowsError(try ModelContract(json: Data("no JSON".utf8)))
    }

    func testUnknownJSONIsWrittenUnchanged() throws {
        let text = #"{"a":[1,2.5,null,true,"x"],"b":{"c":0.0078125}}"#
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        XCTAssertEqual(String(data: try encoder.encode(value), encoding: .utf8), text)
    }

    func testChecksumsEqualPublishedTestVectors() {
        XCTAssertEqual(sha256(Data()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        XCTAssertEqual(sha256(Data("abc".utf8)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        XCTAssertEqual(
            sha256(Data(repeating: UInt8(ascii: "a"), count: 1_000_000)),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        )
        XCTAssertEqual(
            sha256(Data("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        )
        XCTAssertEqual(crc32(Data("123456789".utf8)), 0xcbf4_3926)
    }

    func testTimesAreInWholeSecondsOfUTC() throws {
        XCTAssertEqual(Timestamp(Date(timeIntervalSince1970: 0.75)).text, "1970-01-01T00:00:00Z")
        XCTAssertThrowsError(try Timestamp("2026-11-22 14:40:00"))
        XCTAssertLessThan(try Timestamp("2026-11-22T14:40:00Z"), try Timestamp("2026-11-22T14:40:01Z"))
    }
}
