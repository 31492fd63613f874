import Foundation
import XCTest
@testable import FaceAllCore

/// Recognition with simple test doubles: a face is a square of one colour on black, and its vector is that colour.
final class RecogniserTests: XCTestCase {
    private struct SquareFinder: FaceFinding {
        func faces(in image: Pixels) async throws -> [Face] {
            var box: Box?
            for row in 0..<image.height {
                for column in 0..<image.width where image.values[(row * image.width + column) * 3] > 0 {
                    let (x, y) = (Float(column), Float(row))
                    let old = box ?? Box(x0: x, y0: y, x1: x + 1, y1: y + 1)
                    box = Box(
                        x0: min(old.x0, x), y0: min(old.y0, y), x1: max(old.x1, x + 1), y1: max(old.y1, y + 1)
                    )
                }
            }
            return box.map { [Face(box: $0, score: 0.9, landmarks: $0.placed([Float](repeating: 0.5, count: 10)))] } ?? []
        }
    }

    private struct ColourEmbedder: FaceEmbedding {
        let manifest: Manifest

        func embed(crops: [Pixels]) async throws -> [[Float]] {
            crops.map { crop in
                let middle = (crop.height / 2 * crop.width + crop.width / 2) * 3
                let colour = crop.values[middle..<(middle + 3)].map { Float($0) }
                let padded = colour + [Float](repeating: 0, count: manifest.embeddingSize - 3)
                let length = sqrt(padded.reduce(0) { $0 + $1 * $1 })
                return padded.map { $0 / length }
            }
        }
    }

    private func image(_ colour: [UInt8]) -> Pixels {
        var image = Pixels(width: 60, height: 50)
        for row in 10..<30 {
            for column in 20..<40 {
                image.values.replaceSubrange(((row * 60 + column) * 3)..<((row * 60 + column) * 3 + 3), with: colour)
            }
        }
        return image
    }

    private let model = GalleryModel(name: "colours", fingerprint: String(repeating: "c", count: 64), manifest: .null)

    private func recogniser(_ url: URL, _ model: GalleryModel) throws -> Recogniser {
        let manifest = try Manifest(json: try Golden.data("manifest.json"))
        return try Recogniser(
            finder: SquareFinder(), embedder: ColourEmbedder(manifest: manifest), model: model, url: url,
            encodeJPEG: { _ in Data([0xff, 0xd8, 0xff]) }
        )
    }

    func testEnrolledPeopleAreRecognisedAfterARestart() async throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        let first = try recogniser(url, model)
        let red = image([250, 10, 10]), blue = image([10, 10, 250])
        let stored = try await first.enrol(red, name: "Ann", file: Data(red.values), fileName: "red.jpg")
        XCTAssertEqual(stored?.face.box, Box(x0: 20, y0: 10, x1: 40, y1: 30))
        let again = try await first.enrol(red, name: "Anna", file: Data(red.values), fileName: "red.jpg")
        XCTAssertEqual(again?.id, stored?.id, "the same face of the same photo is not added twice")
        try await first.enrol(blue, name: "Bo", file: Data(blue.values), fileName: "blue.jpg")

        let second = try recogniser(url, model)
        let names = await second.gallery.people.map(\.name)
        XCTAssertEqual(names.sorted(), ["Anna", "Bo"])
        let found = try await second.recognise(image([240, 20, 15]))
        XCTAssertEqual(found.map { $0.match?.person?.name }, ["Anna"])
        let stranger = try await second.recognise(image([10, 250, 10]))
        XCTAssertEqual(stranger.map(\.match), [nil])
        let missing = try await second.enrol(Pixels(width: 60, height: 50), name: "C", file: Data(), fileName: "x")
        XCTAssertNil(missing)
    }

    func testSeveralFramesAreEnrolledAtOnceAndPeopleAreIdentified() async throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        let recogniser = try recogniser(url, model)
        let red = image([250, 10, 10]), darker = image([240, 10, 10]), blank = Pixels(width: 60, height: 50)
        let captures = [blank, red, darker].enumerated().map { number, image in
            (image: image, file: Data(image.values), fileName: "\(number).rgb")
        }
        let stored = try await recogniser.enrol(captures, name: "Ann")
        XCTAssertEqual(stored.map(\.photo.name), ["1.rgb"], "all faces are poor, so one is enough")
        let found = try await recogniser.identify(image([240, 20, 15]))
        XCTAssertEqual(found.map { $0.best?.person.name }, ["Ann"])
        XCTAssertEqual(found.map { $0.quality.notes.contains(.blurred) }, [false], "a small face is not called blurred")
        let stranger = try await recogniser.identify(image([10, 250, 10]))
        XCTAssertEqual(stranger.map { $0.best }, [nil])
        let history = await recogniser.gallery.history
        XCTAssertEqual(history.map(\.summary), ["assigned 1 face to Ann"])
        try await recogniser.change { _ = try $0.undo() }
        let people = await recogniser.gallery.people
        XCTAssertEqual(people, [])
    }

    func testAChangeThatFailsChangesNothing() async throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        let recogniser = try recogniser(url, model)
        let red = image([250, 10, 10])
        try await recogniser.enrol(red, name: "Ann", file: Data(red.values), fileName: "red.jpg")
        let before = await recogniser.gallery
        do {
            try await recogniser.change { gallery in
                try gallery.remove(person: gallery.people[0].id)
                try gallery.remove(person: "unknown")
            }
            XCTFail("expected an error")
        } catch is FaceAllError {}
        let after = await recogniser.gallery
        XCTAssertEqual(after, before)
        XCTAssertEqual(try Gallery.load(from: url), before)
    }

    func testAnotherModelsGalleryIsNotOpened() async throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
        defer { try? FileManager.default.removeItem(at: url) }
        try await recogniser(url, model).change { _ in }
        let other = GalleryModel(name: "other", fingerprint: String(repeating: "d", count: 64), manifest: .null)
        XCTAssertThrowsError(try recogniser(url, other))
    }

    func testGoldenCropsDistinguishAGoodModelFromABadOne() async throws {
        let manifest = try Manifest(json: try Golden.data("manifest.json"))
        let embedder = ColourEmbedder(manifest: manifest)
        let crop = Data(Pixels(width: 4, height: 4, gray: 9).values).base64EncodedString()
        func golden(_ vector: [Float]) throws -> GoldenCrops {
            let numbers = (vector + [Float](repeating: 0, count: 13)).map { "\($0)" }.joined(separator: ",")
            return try GoldenCrops(json: Data(
                #"{"gate":0.9999,"crops":[{"width":4,"height":4,"values":"\#(crop)"}],"vectors":[[\#(numbers)]]}"#.utf8
            ))
        }
        let third = Float(1 / sqrt(3.0))
        let cosine = try await golden([third, third, third]).check(embedder)
        XCTAssertEqual(cosine, 1, accuracy: 1e-6)
        do {
            try await golden([1, 0, 0]).check(embedder)
            XCTFail("expected an error")
        } catch is FaceAllError {}
        XCTAssertThrowsError(try GoldenCrops(json: Data("{}".utf8)))
    }

    func testEXIFOrientationIsApplied() throws {
        // an asymmetric pattern, so that all eight orientations differ
        let upright = try Pixels(width: 2, height: 3, values: [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6])
        let stored: [Int: (Int, [UInt8])] = [
            1: (2, [1, 2, 3, 4, 5, 6]), 2: (2, [2, 1, 4, 3, 6, 5]), 3: (2, [6, 5, 4, 3, 2, 1]),
            4: (2, [5, 6, 3, 4, 1, 2]), 5: (3, [1, 3, 5, 2, 4, 6]), 6: (3, [2, 4, 6, 1, 3, 5]),
            7: (3, [6, 4, 2, 5, 3, 1]), 8: (3, [5, 3, 1, 6, 4, 2]),
        ]
        for (exif, (width, grays)) in stored {
            let values = grays.flatMap { [$0, $0, $0] }
            let lying = try Pixels(width: width, height: 6 / width, values: values)
            XCTAssertEqual(try lying.upright(exif: exif), upright, "orientation \(exif)")
        }
        XCTAssertThrowsError(try upright.upright(exif: 9))
    }

    func testVisionFacesAreConvertedToPixels() {
        typealias Spot = NormalizedFace.NormalizedPoint
        var face = NormalizedFace(
            x: 0.25, y: 0.5, width: 0.5, height: 0.25, confidence: 0.75,
            eyes: [[Spot(x: 0.6, y: 0.7)], [Spot(x: 0.3, y: 0.7), Spot(x: 0.5, y: 0.7)]], nose: [Spot(x: 0.5, y: 0.6)],
            lips: [Spot(x: 0.6, y: 0.55), Spot(x: 0.4, y: 0.55), Spot(x: 0.5, y: 0.5)]
        )
        let made = face.face(inWidth: 200, height: 100)
        XCTAssertEqual(made.box, Box(x0: 50, y0: 25, x1: 150, y1: 50))
        XCTAssertEqual(made.score, 0.75)
        let expected: [(Float, Float)] = [(80, 30), (120, 30), (100, 40), (80, 45), (120, 45)]
        for (point, (x, y)) in zip(made.landmarks, expected) {
            XCTAssertEqual(point.x, x, accuracy: 1e-3)
            XCTAssertEqual(point.y, y, accuracy: 1e-3)
        }
        face.eyes = []
        let guessed = face.face(inWidth: 200, height: 100)
        XCTAssertEqual(guessed.landmarks.count, 5)
        XCTAssertTrue(guessed.landmarks.allSatisfy { (50...150).contains($0.x) && (25...50).contains($0.y) })
    }
}
