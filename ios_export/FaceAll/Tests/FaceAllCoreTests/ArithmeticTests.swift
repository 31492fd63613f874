import Foundation
import XCTest
@testable import FaceAllCore

final class ArithmeticTests: XCTestCase {
    private struct Boxes: Decodable {
        struct Usable: Decodable { let width: Int, height: Int, are: [Bool] }
        struct Case: Decodable { let limit: Float, kind: Overlap, kept: [Int] }
        struct Primary: Decodable { let width: Int, height: Int, `is`: Int }
        let boxes, offsets, points, moved, placed, squares, crowd: [[Float]]
        let areas, scores: [Float]
        let usable: Usable
        let overlaps: [String: [[Float]]]
        let suppressed: [Case]
        let primary: Primary
    }

    func testBoxesAreMovedSquaredAndPlacedAsOnTheServer() throws {
        let golden: Boxes = try Golden.read("boxes.json")
        for (number, edges) in golden.boxes.enumerated() {
            let box = Box(edges)
            XCTAssertEqual(box.area, golden.areas[number])
            assertClose(box.moved(by: golden.offsets[number]).edges, golden.moved[number])
            assertClose(box.square.edges, golden.squares[number])
            let points = box.placed(golden.points[number]).flatMap { [$0.x, $0.y] }
            assertClose(points, golden.placed[number])
            let isUsable = box.isUsable(width: golden.usable.width, height: golden.usable.height)
            XCTAssertEqual(isUsable, golden.usable.are[number], "box \(number)")
        }
    }

    func testSuppressionKeepsTheSameBoxes() throws {
        let golden: Boxes = try Golden.read("boxes.json")
        let crowd = golden.crowd.map { Box($0) }
        for (kind, rows) in golden.overlaps {
            let overlapKind = try XCTUnwrap(Overlap(rawValue: kind))
            for (first, row) in rows.enumerated() {
                assertClose(row.indices.map { overlap(crowd[first], crowd[$0], overlapKind) }, row)
            }
        }
        XCTAssertEqual(golden.suppressed.count, 6)
        for one in golden.suppressed {
            let kept = suppress(crowd, scores: golden.scores, limit: one.limit, kind: one.kind)
            XCTAssertEqual(kept, one.kept, "limit \(one.limit), \(one.kind)")
        }
    }

    func testThePrimaryFaceIsTheSame() throws {
        let golden: Boxes = try Golden.read("boxes.json")
        let faces = golden.boxes.prefix(5).map { Face(box: Box($0), score: 1, landmarks: []) }
        XCTAssertEqual(
            primaryFace(faces, width: golden.primary.width, height: golden.primary.height), golden.primary.is
        )
        XCTAssertNil(primaryFace([], width: 10, height: 10))
    }

    private struct Plans: Decodable {
        struct Plan: Decodable {
            let image, canvas, cells, owned, ownerSums: [Int]
            let minFace, factor: Double
            let levels, strips: [[Int]]
            let scales: [Float]
        }

        struct Drawn: Decodable { let image: GoldenImage, minFace: Double, canvas: GoldenImage }
        let plans: [Plan]
        let drawn: Drawn
    }

    func testPyramidsAreLaidOutAsOnTheServer() throws {
        let golden: Plans = try Golden.read("pyramid.json")
        XCTAssertGreaterThanOrEqual(golden.plans.count, 7)
        for plan in golden.plans {
            let what = "image \(plan.image)"
            let made = Pyramid(
                width: plan.image[0], height: plan.image[1], minFace: plan.minFace, factor: plan.factor
            )
            XCTAssertEqual([made.width, made.height], plan.canvas, what)
            XCTAssertEqual(made.levels.map { [$0.x, $0.y, $0.width, $0.height] }, plan.levels, what)
            assertClose(made.scales, plan.scales, what)
            XCTAssertEqual([made.owners.count, made.owners[0].count], plan.cells, what)
            let owned = (-1..<made.levels.count).map { level in made.owners.joined().filter { $0 == level }.count }
            XCTAssertEqual(owned, plan.owned, what)
            var sum = 0
            for (row, line) in made.owners.enumerated() {
                for (column, owner) in line.enumerated() {
                    sum += owner * (row * 31 + column * 17 + 1)
                }
            }
            XCTAssertEqual([sum], plan.ownerSums, what)
            XCTAssertEqual(made.strips.map { [$0.lowerBound, $0.upperBound] }, plan.strips, what)
        }
    }

    private func assertClose(_ actual: [Float], _ expected: [Float], _ what: String = "") {
        FaceAllCoreTests.assertClose(actual, expected, within: 1e-6, what)
    }

    func testTheCanvasHasTheSameBytes() throws {
        let golden: Plans = try Golden.read("pyramid.json")
        let image = try golden.drawn.image.pixels()
        let pyramid = Pyramid(
            width: image.width, height: image.height, minFace: golden.drawn.minFace, factor: 0.709
        )
        assertSame(pyramid.drawn(from: Squares.halvings(image)), try golden.drawn.canvas.pixels())
    }

    private struct Scaling: Decodable {
        let image: GoldenImage
        let resized, halvings: [GoldenImage]
    }

    func testScaledImagesHaveTheSameBytes() throws {
        let golden: Scaling = try Golden.read("scaling.json")
        let image = try golden.image.pixels()
        XCTAssertGreaterThan(golden.resized.count, 10)
        for other in golden.resized {
            let made = image.resized(width: other.width, height: other.height)
            assertSame(made, try other.pixels(), "\(other.width) x \(other.height)")
        }
        let first = try golden.halvings[0].pixels()
        let made = Squares.halvings(first)
        XCTAssertEqual(made.count, golden.halvings.count)
        for (one, other) in zip(made, golden.halvings) {
            assertSame(one, try other.pixels(), "half of \(other.width) x \(other.height)")
        }
    }

    private func assertSame(_ actual: Pixels, _ expected: Pixels, levels: Int = 0, _ what: String = "") {
        FaceAllCoreTests.assertSame(actual, expected, levels: levels, what)
    }

    private struct Crops: Decodable {
        struct Rule: Decodable { let rule: CropRule, regions: [[Double]] }
        struct Crop: Decodable { let region: [Double], crop: GoldenImage }
        let boxes: [[Float]]
        let width: Int
        let height: Int
        let rules: [Rule]
        let image: GoldenImage
        let crops: [Crop]
    }

    func testCropRegionsAreThoseOfTheServer() throws {
        let golden: Crops = try Golden.read("crops.json")
        XCTAssertEqual(golden.rules.count, 5)
        for rule in golden.rules {
            for (edges, expected) in zip(golden.boxes, rule.regions) {
                let region = rule.rule.region(of: Box(edges), width: golden.width, height: golden.height)
                for (one, other) in zip([region.x0, region.y0, region.x1, region.y1], expected) {
                    XCTAssertEqual(one, other, accuracy: 1e-9 * max(abs(other), 1))
                }
            }
        }
    }

    func testCropsDifferByAtMostOneLevel() throws {
        let golden: Crops = try Golden.read("crops.json")
        let image = try golden.image.pixels()
        for crop in golden.crops {
            let region = Region(x0: crop.region[0], y0: crop.region[1], x1: crop.region[2], y1: crop.region[3])
            let made = try image.cropped(region, width: crop.crop.width, height: crop.crop.height)
            assertSame(made, try crop.crop.pixels(), levels: 1, "region \(crop.region) as \(crop.crop.width)")
        }
    }

    func testInvalidRegionsAreRefused() {
        let image = Pixels(width: 8, height: 8)
        for edges in [[0, 0, 0, 4], [4, 0, 2, 4], [0, 0, Double.nan, 4], [0, 0, 2e7, 4]] {
            let region = Region(x0: edges[0], y0: edges[1], x1: edges[2], y1: edges[3])
            XCTAssertThrowsError(try image.cropped(region, width: 4, height: 4), "\(edges)")
        }
        XCTAssertThrowsError(try Pixels(width: 2, height: 2, values: [1, 2, 3]))
    }

    private struct Alignments: Decodable {
        struct Case: Decodable {
            let name: String
            let alignment: Alignment
            let size: [Int]
            let landmarks: [[Float]]
            let box: [Float]
            let usable: Bool
            let matrix: [[Double]]
            let crop: GoldenImage
        }

        let image: GoldenImage
        let cases: [Case]
    }

    func testFacesAreAlignedAsOnTheServer() throws {
        let golden: Alignments = try Golden.read("alignment.json")
        let image = try golden.image.pixels()
        XCTAssertGreaterThanOrEqual(golden.cases.count, 8)
        for one in golden.cases {
            let points = one.landmarks.map { Point(x: $0[0], y: $0[1]) }
            let face = Face(box: Box(one.box), score: 1, landmarks: points)
            let map = one.alignment.map(of: face, width: one.size[0], height: one.size[1])
            let numbers = [map.xx, map.xy, map.x0, map.yx, map.yy, map.y0]
            for (number, expected) in zip(numbers, one.matrix.joined()) {
                XCTAssertEqual(number, expected, accuracy: 1e-9 * max(abs(expected), 1), one.name)
            }
            XCTAssertEqual(one.alignment.isUsable(face), one.usable, one.name)
            let made = try image.warped(map, width: one.size[0], height: one.size[1], border: one.alignment.border)
            assertSame(made, try one.crop.pixels(), levels: 1, one.name)
        }
    }

    private struct GoldenSquares: Decodable {
        struct Cut: Decodable { let size: Int, crops: [GoldenImage] }
        let image: GoldenImage
        let boxes: [[Float]]
        let cut: [Cut]
    }

    func testSquaresForTheNetsDifferByAtMostOneLevel() throws {
        let golden: GoldenSquares = try Golden.read("squares.json")
        let images = Squares.halvings(try golden.image.pixels())
        for cut in golden.cut {
            let made = Squares.cut(golden.boxes.map { Box($0) }, from: images, size: cut.size)
            XCTAssertEqual(made.count, cut.crops.count)
            for (one, other) in zip(made, cut.crops) {
                assertSame(one, try other.pixels(), levels: 1, "size \(cut.size)")
            }
        }
    }

    func testColoursOfABufferAreNotSwapped() throws {
        let bytes: [UInt8] = [1, 2, 3, 255, 4, 5, 6, 255, 0, 0, 0, 0, 7, 8, 9, 255, 10, 11, 12, 255, 0, 0, 0, 0]
        try bytes.withUnsafeBytes { buffer in
            let image = try Pixels(fourBytes: buffer, width: 2, height: 2, rowBytes: 12, order: [2, 1, 0])
            XCTAssertEqual(image.values, [3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10])
            XCTAssertThrowsError(try Pixels(fourBytes: buffer, width: 3, height: 3, rowBytes: 12, order: [0, 1, 2]))
        }
    }
}
