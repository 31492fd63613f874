import Foundation
import XCTest
@testable import FaceAllCore

extension Gallery {
    /// Adds a face with given ids, without the checks of `enrol`.
    mutating func add(_ vector: [Float], face id: String, person: String, name: String) {
        let time = Timestamp(Date(timeIntervalSince1970: 1_800_000_000))
        if !people.contains(where: { $0.id == person }) {
            people.append(Person(id: person, name: name, created: time, changed: time))
        }
        let face = Face(
            box: Box(x0: 1, y0: 2, x1: 30, y1: 40), score: 0.9, landmarks: (0..<5).map { Point(x: Float($0), y: 3) }
        )
        let photo = Photo(name: "\(faces.count)", sha256: sha256(Data(id.utf8)), width: 100, height: 80)
        faces.append(StoredFace(
            id: id, person: person, isPrimary: true, photo: photo, face: face, thumbnail: Data([0xff, 0xd8, 0xff]),
            created: time, changed: time
        ))
        vectors += vector
    }
}

/// The people and faces of a large gallery from which its threshold follows: the same ones as on the server.
final class SamplingTests: XCTestCase {
    private struct GoldenSample: Decodable {
        let people, size, faces, used: Int
        let first: [String]
        let chosenSha256: String
        let vectorsSum: [Double]
        let distance, possible, margin: Double
    }

    /// The numbers of a linear congruential generator, which Python computes as well.
    private struct Numbers {
        var state: UInt64 = 7

        mutating func next() -> Int {
            state = (state * 1_103_515_245 + 12345) % (1 << 31)
            return Int(state)
        }
    }

    /// The gallery of the golden vectors; `reversed` adds the people in the other order.
    private func gallery(_ golden: GoldenSample, reversed: Bool = false) throws -> Gallery {
        struct Content: Decodable { let manifest: JSONValue }
        let content = try JSONDecoder().decode(Content.self, from: try Golden.data("sampling.json"))
        let model = GalleryModel(
            name: "aligned-example", fingerprint: String(repeating: "a", count: 64), manifest: content.manifest
        )
        var numbers = Numbers(), added: [(vector: [Float], face: String, person: String, name: String)] = []
        for person in 0..<golden.people {
            let id = String(format: "%08x-0000-4000-8000-%012d", numbers.next(), person)
            let centre = (0..<golden.size).map { _ in numbers.next() % 2001 - 1000 }
            for _ in 0..<(person % 10 == 0 ? 7 : 1 + person % 2) {
                let face = String(format: "%08x-0000-4000-8000-%012d", numbers.next(), added.count)
                let row = centre.map { $0 + numbers.next() % 801 - 400 }
                let length = sqrt(Double(row.reduce(0) { $0 + $1 * $1 }))
                added.append((row.map { Float(Double($0) / length) }, face, id, "\(person)"))
            }
        }
        var gallery = try Gallery(model: model, size: golden.size, threshold: nil)
        for one in reversed ? added.reversed() : added {
            gallery.add(one.vector, face: one.face, person: one.person, name: one.name)
        }
        return gallery
    }

    func testTheChosenPeopleAndFacesAreThoseOfTheServer() throws {
        let golden: GoldenSample = try Golden.read("sampling.json")
        for reversed in [false, true] {
            let gallery = try gallery(golden, reversed: reversed)
            XCTAssertEqual(gallery.faces.count, golden.faces)
            let rows = gallery.sampledFaces()
            let people = rows.map { gallery.faces[$0[0]].person ?? "" }
            XCTAssertEqual(people.count, 1000)
            XCTAssertEqual(Array(people.prefix(5)), golden.first)
            XCTAssertEqual(sha256(Data(people.joined(separator: " ").utf8)), golden.chosenSha256)
            XCTAssertEqual(rows.reduce(0) { $0 + $1.count }, golden.used)
            var total = [Double](repeating: 0, count: golden.size)
            for row in rows.joined() {
                for (place, value) in gallery.vector(row).enumerated() {
                    total[place] += Double(value)
                }
            }
            for (one, other) in zip(total, golden.vectorsSum) {
                XCTAssertEqual(one, other, accuracy: 1e-6)
            }
        }
    }

    func testTheThresholdOfALargeGalleryIsThatOfTheServer() throws {
        let golden: GoldenSample = try Golden.read("sampling.json")
        let threshold = try XCTUnwrap(try gallery(golden).matchThreshold())
        XCTAssertEqual(threshold.distance, golden.distance, accuracy: 1e-6)
        XCTAssertEqual(try XCTUnwrap(threshold.possible), golden.possible, accuracy: 1e-6)
        XCTAssertEqual(threshold.margin, golden.margin, accuracy: 1e-6)
    }
}
