import Foundation
import XCTest
@testable import FaceAllCore

/// A complete detection with the outputs of the nets as recorded on the server.
final class DetectionTests: XCTestCase {
    struct Call: Decodable { let crops: [GoldenImage], answers: [[Float]] }
    struct Proposal: Decodable { let canvas: GoldenImage, rows: Int, columns: Int, values: Data }
    struct Found: Decodable { let boxes, landmarks: [[Float]], scores: [Float] }
    struct Detection: Decodable {
        let image: GoldenImage
        let minFace: Double
        let thresholds: [Double]
        let proposals: [Proposal]
        let refinements, finals: [Call]
        let faces: Found
    }

    /// Nets that return the recorded outputs and check their inputs.
    actor RecordedNets: MTCNNNets {
        private let detection: Detection
        private(set) var calls = [0, 0, 0]

        init(_ detection: Detection) {
            self.detection = detection
        }

        func propose(_ canvas: Pixels) async throws -> Proposals {
            let expected = detection.proposals[calls[0]]
            calls[0] += 1
            assertSame(canvas, try expected.canvas.pixels(), "the canvas")
            return Proposals(rows: expected.rows, columns: expected.columns, values: try floats(expected.values))
        }

        func refine(_ crops: [Pixels]) async throws -> [[Float]] {
            calls[1] += 1
            return try answer(detection.refinements[calls[1] - 1], crops)
        }

        func finish(_ crops: [Pixels]) async throws -> [[Float]] {
            calls[2] += 1
            return try answer(detection.finals[calls[2] - 1], crops)
        }

        private func answer(_ call: Call, _ crops: [Pixels]) throws -> [[Float]] {
            XCTAssertEqual(crops.count, call.crops.count)
            for (one, other) in zip(crops, call.crops) {
                assertSame(one, try other.pixels(), levels: 1, "a crop")
            }
            return call.answers
        }
    }

    func testTheFacesAreThoseOfTheServer() async throws {
        let golden: Detection = try Golden.read("detection.json")
        let nets = RecordedNets(golden)
        let detector = try Detector(nets: nets, minFace: golden.minFace, thresholds: golden.thresholds)
        let faces = try await detector.detect(in: try golden.image.pixels())
        let calls = await nets.calls
        XCTAssertEqual(calls, [golden.proposals.count, golden.refinements.count, golden.finals.count])
        XCTAssertEqual(faces.count, 2)
        XCTAssertEqual(faces.count, golden.faces.boxes.count)
        for (number, face) in faces.enumerated() {
            assertClose(face.box.edges, golden.faces.boxes[number])
            assertClose([face.score], [golden.faces.scores[number]])
            assertClose(face.landmarks.flatMap { [$0.x, $0.y] }, golden.faces.landmarks[number])
        }
    }

    func testAnImageSmallerThanTheSmallestFaceHasNoFaces() async throws {
        let golden: Detection = try Golden.read("detection.json")
        let detector = try Detector(nets: RecordedNets(golden), minFace: 24)
        let faces = try await detector.detect(in: Pixels(width: 20, height: 200))
        XCTAssertEqual(faces, [])
    }

    /// Nets whose outputs have the wrong shape.
    private struct BrokenNets: MTCNNNets {
        func propose(_ canvas: Pixels) async throws -> Proposals { Proposals(rows: 3, columns: 3, values: [1]) }
        func refine(_ crops: [Pixels]) async throws -> [[Float]] { [] }
        func finish(_ crops: [Pixels]) async throws -> [[Float]] { [] }
    }

    func testOutputsOfAnotherShapeAreRefused() async throws {
        let detector = try Detector(nets: BrokenNets())
        do {
            _ = try await detector.detect(in: Pixels(width: 60, height: 60))
            XCTFail("expected an error")
        } catch let error as FaceAllError {
            XCTAssertEqual(error, .badModel("the proposal net returned 1 values for 3 x 3 cells, expected 5 for each"))
        }
    }

    func testSettingsOutOfTheirRangeAreRefused() {
        XCTAssertThrowsError(try Detector(nets: BrokenNets(), minFace: 5))
        XCTAssertThrowsError(try Detector(nets: BrokenNets(), thresholds: [0.5]))
        XCTAssertThrowsError(try Detector(nets: BrokenNets(), factor: 1))
    }
}
