import Foundation
import XCTest
@testable import FaceAllCore

/// Thresholds, decisions and quality, which the server computes in the same way.
final class DecisionTests: XCTestCase {
    private struct Scores: Decodable {
        let mean, deviation, bend: Double
    }

    private struct Limit: Decodable {
        let people, faces: Int
        let fpir, compared, distance, cautious, back: Double
    }

    private struct Pair: Decodable {
        let limit, rate, deviation: Double
    }

    private struct Found: Decodable {
        let person: String
        let judged: Double
        let decision: Decision
    }

    private struct Limits: Decodable {
        let distance, possible, margin: Double
    }

    private struct GoldenDecisions: Decodable {
        let scores, fitted, tooFew: Scores
        let thresholds: [Limit]
        let pair: Pair
        let quantiles: [[Double]]
        let vectors, queries: [[Float]]
        let owners: [Int]
        let maxima: [Double]
        let compared: Double
        let limits: Limits
        let found, foundPoor: [[Found]]
        let refused, confirmed: [Found]
    }

    /// An id whose order is that of the numbers.
    private func id(_ number: Int) -> String { String(format: "%08d-0000-4000-8000-000000000000", number) }

    private func golden() throws -> GoldenDecisions { try Golden.read("decisions.json") }

    private func gallery(_ golden: GoldenDecisions, manifest: JSONValue) throws -> Gallery {
        let model = GalleryModel(name: "aligned-example", fingerprint: String(repeating: "a", count: 64), manifest: manifest)
        var gallery = try Gallery(model: model, size: 24, threshold: nil)
        for (number, (vector, owner)) in zip(golden.vectors, golden.owners).enumerated() {
            gallery.add(vector, face: id(number), person: id(owner), name: "\(owner)")
        }
        return gallery
    }

    func testQuantilesOfTheNormalDistributionAreThoseOfPython() throws {
        for pair in try golden().quantiles {
            XCTAssertEqual(normalQuantile(pair[0]), pair[1], accuracy: 1e-9 * max(abs(pair[1]), 1), "\(pair[0])")
            XCTAssertEqual(normalShare(below: pair[1]), pair[0], accuracy: 1e-9, "\(pair[0])")
        }
    }

    func testThresholdsForARateAreThoseOfTheServer() throws {
        let golden = try golden(), stated = golden.scores
        let scores = StrangerScores(mean: stated.mean, deviation: stated.deviation, bend: stated.bend)
        for limit in golden.thresholds {
            let compared = StrangerScores.comparisons(people: limit.people, faces: limit.faces)
            XCTAssertEqual(compared, limit.compared, accuracy: 1e-9 * limit.compared)
            let distance = scores.threshold(fpir: limit.fpir, compared: compared)
            XCTAssertEqual(distance, limit.distance, accuracy: 1e-9)
            let cautious = scores.cautiousThreshold(fpir: limit.fpir, compared: compared)
            XCTAssertEqual(cautious, limit.cautious, accuracy: 1e-9)
            XCTAssertEqual(scores.fpir(distance: distance, compared: compared), limit.back, accuracy: 1e-9)
        }
        let pair = StrangerScores(pairThreshold: golden.pair.limit, falseMatchRate: golden.pair.rate)
        XCTAssertEqual(pair.deviation, golden.pair.deviation, accuracy: 1e-9)
        XCTAssertEqual(StrangerScores.comparisons(people: 0, faces: 0), 0)
    }

    func testTheFitToAGalleryIsThatOfTheServer() throws {
        let golden = try golden(), stated = golden.scores
        let prior = StrangerScores(mean: stated.mean, deviation: stated.deviation, bend: stated.bend)
        for (maxima, expected) in [(golden.maxima, golden.fitted), (Array(golden.maxima.prefix(2)), golden.tooFew)] {
            let fitted = try XCTUnwrap(StrangerScores(maxima: maxima, compared: golden.compared, prior: prior))
            XCTAssertEqual(fitted.mean, expected.mean, accuracy: 1e-6)
            XCTAssertEqual(fitted.deviation, expected.deviation, accuracy: 1e-6)
            XCTAssertEqual(fitted.bend, expected.bend)
        }
        XCTAssertNil(StrangerScores(maxima: [0.1, 0.2], compared: 5, prior: nil))
        XCTAssertNotNil(StrangerScores(maxima: [0.1, 0.2, 0.3], compared: 5, prior: nil))
    }

    func testDecisionsOnPeopleAreThoseOfTheServer() throws {
        let golden = try golden()
        let manifest = try JSONDecoder().decode(JSONValue.self, from: try Golden.data("scores-manifest.json"))
        let gallery = try gallery(golden, manifest: manifest)
        let threshold = try XCTUnwrap(try gallery.matchThreshold())
        XCTAssertEqual(threshold.distance, golden.limits.distance, accuracy: 1e-5)
        XCTAssertEqual(try XCTUnwrap(threshold.possible), golden.limits.possible, accuracy: 1e-5)
        XCTAssertEqual(threshold.margin, golden.limits.margin, accuracy: 1e-5)
        for (isPoor, expected) in [(false, golden.found), (true, golden.foundPoor)] {
            for (query, wanted) in zip(golden.queries, expected) {
                let found = try gallery.identify(query, threshold: threshold, isPoor: isPoor)
                XCTAssertEqual(found.map(\.person.name), wanted.map(\.person))
                XCTAssertEqual(found.map(\.decision), wanted.map(\.decision))
                for (one, other) in zip(found, wanted) {
                    XCTAssertEqual(one.judgedDistance, other.judged, accuracy: 1e-5)
                }
            }
        }
    }

    func testWhatUsersSaidHasPriorityAsOnTheServer() throws {
        let golden = try golden()
        let manifest = try JSONDecoder().decode(JSONValue.self, from: try Golden.data("scores-manifest.json"))
        let plain = try gallery(golden, manifest: manifest)
        let threshold = try XCTUnwrap(try plain.matchThreshold())
        for (isSame, isPoor, wanted) in [(false, false, golden.refused), (true, true, golden.confirmed)] {
            var gallery = plain
            let face = gallery.faces[4]
            try gallery.judge(subject: face.id, person: try XCTUnwrap(face.person), same: isSame)
            let found = try gallery.identify(gallery.vector(4), threshold: threshold, isPoor: isPoor)
            XCTAssertEqual(found.map(\.person.name), wanted.map(\.person))
            XCTAssertEqual(found.map(\.decision), wanted.map(\.decision))
        }
    }

    func testAStricterRateGivesASmallerThreshold() throws {
        let manifest = try JSONDecoder().decode(JSONValue.self, from: try Golden.data("scores-manifest.json"))
        let gallery = try gallery(try golden(), manifest: manifest)
        let distances = try [0.1, 0.01, 0.001].compactMap { try gallery.matchThreshold(fpir: $0)?.distance }
        XCTAssertEqual(distances, distances.sorted(by: >))
        XCTAssertThrowsError(try gallery.matchThreshold(fpir: 0))
        XCTAssertThrowsError(try gallery.matchThreshold(fpir: .nan))
    }

    func testAModelWithoutScoresUsesTheGallerysThreshold() throws {
        let model = GalleryModel(name: "old", fingerprint: String(repeating: "a", count: 64), manifest: .null)
        XCTAssertEqual(
            try Gallery(model: model, size: 4, threshold: 0.9).matchThreshold(), MatchThreshold(distance: 0.9)
        )
        XCTAssertNil(try Gallery(model: model, size: 4, threshold: nil).matchThreshold())
    }

    func testASecondPersonNearbyMakesAMatchPossible() {
        let threshold = MatchThreshold(distance: 1, possible: 1.2, fpir: 0.01, margin: 0.1)
        XCTAssertEqual(threshold.decide(0.8), .match)
        XCTAssertEqual(threshold.decide(0.8, second: 0.85), .possible)
        XCTAssertEqual(threshold.decide(0.8, second: 0.95), .match)
        XCTAssertEqual(threshold.decide(0.98, second: 1.02), .match)
        XCTAssertEqual(threshold.decide(1.1), .possible)
        XCTAssertEqual(threshold.decide(1.3), .unknown)
    }

    func testTheManifestsNewFieldsAreRead() throws {
        let manifest = try Manifest(json: try Golden.data("scores-manifest.json"))
        XCTAssertEqual(manifest.schema, 3)
        XCTAssertEqual(manifest.channels, "BGR")
        XCTAssertEqual(manifest.matchThresholdFalseAcceptRate, 0.001)
        XCTAssertEqual(manifest.nonMatedScores?.deviation, 0.11)
        XCTAssertNotNil(manifest.alignment)
        XCTAssertEqual(StrangerScores(of: manifest), StrangerScores(mean: 0.06, deviation: 0.11, bend: 0.05))
        let old = try Manifest(json: try Golden.data("manifest.json"))
        XCTAssertNil(old.nonMatedScores)
        XCTAssertNil(StrangerScores(of: old), "a threshold without its rate says nothing about strangers")
    }

    // MARK: - Quality

    private struct MeasuredFace: Decodable {
        let box, landmarks: [Float]
        let score: Float
        let sharpness, turn, cut: Double
        let notes: [FaceQuality.Note]
    }

    private struct Measured: Decodable {
        let image: GoldenImage
        let faces: [MeasuredFace]
    }

    func testQualityIsMeasuredAsOnTheServer() throws {
        let golden: Measured = try Golden.read("quality.json")
        let image = try golden.image.pixels()
        for (number, expected) in golden.faces.enumerated() {
            let points = stride(from: 0, to: 10, by: 2).map {
                Point(x: expected.landmarks[$0], y: expected.landmarks[$0 + 1])
            }
            let face = Face(box: Box(expected.box), score: expected.score, landmarks: points)
            let quality = try FaceQuality(face, in: image)
            // bilinear samples differ by one level from the server's, which the Laplacian multiplies
            XCTAssertEqual(quality.sharpness, expected.sharpness, accuracy: 2e-3, "\(number)")
            XCTAssertEqual(quality.turn, expected.turn, accuracy: 1e-6, "\(number)")
            XCTAssertEqual(quality.cut, expected.cut, accuracy: 1e-6, "\(number)")
            XCTAssertEqual(quality.notes, expected.notes, "\(number)")
        }
    }

    func testTheScoreOrdersFrames() {
        func score(size: Double = 112, sharpness: Double = 0.34, turn: Double = 0, cut: Double = 0) -> Double {
            FaceQuality(size: size, sharpness: sharpness, turn: turn, cut: cut, detection: 1).score
        }
        XCTAssertEqual(score(), 1)
        XCTAssertEqual(score(size: 400, sharpness: 0.9), 1, "better than good is good")
        for worse in [score(size: 60), score(sharpness: 0.1), score(turn: -0.3), score(cut: 0.05)] {
            XCTAssertLessThan(worse, 1)
            XCTAssertGreaterThan(worse, 0)
        }
        XCTAssertEqual(score(size: 10), 0)
        XCTAssertEqual(score(turn: 1), 0)
    }
}
