import Foundation

/// The output of the proposal net for every window of a canvas.
public struct Proposals: Sendable {
    /// The number of rows of cells.
    public let rows: Int
    /// The number of columns of cells.
    public let columns: Int
    /// Five planes of rows * columns values: the logit of a face, then four offsets.
    public let values: [Float]

    /// Creates the result of the proposal net.
    public init(rows: Int, columns: Int, values: [Float]) {
        self.rows = rows
        self.columns = columns
        self.values = values
    }
}

/// The three nets of MTCNN, independent of the runtime: Core ML on a phone, recorded outputs in tests.
///
/// Inputs are pixels from 0 to 255; the first layer of each net includes the standardisation.
public protocol MTCNNNets: Sendable {
    /// Runs the proposal net on a canvas of any size, with one window every two pixels.
    func propose(_ canvas: Pixels) async throws -> Proposals
    /// Runs the refinement net on crops of 24 x 24 pixels; each output is a logit and four offsets.
    func refine(_ crops: [Pixels]) async throws -> [[Float]]
    /// Runs the output net on crops of 48 x 48 pixels.
    ///
    /// Each output is a logit, four offsets and ten landmark coordinates (five x, then five y).
    func finish(_ crops: [Pixels]) async throws -> [[Float]]
}

/// Finds faces with MTCNN (Zhang et al. 2016): three small nets, each of which refines the results of the previous one.
public struct Detector<Nets: MTCNNNets>: Sendable {
    private static var refined: Int { 24 }
    private static var final: Int { 48 }
    private static var levelLimit: Float { 0.5 } // overlap within a level
    private static var faceLimit: Float { 0.7 } // overlap across levels, and of two boxes of one face
    private static var secondPassWeight: Float { 0.3 }

    /// The side of the smallest face to find, in pixels.
    public var minFace: Double
    /// The minimum probability for each of the three nets, 0 to 1.
    public var thresholds: [Double]
    /// The ratio between one level of the pyramid and the next larger one.
    public var factor: Double
    /// The maximum number of proposals that are refined, highest scores first.
    public var maxProposals: Int
    private let nets: Nets

    /// Creates a detector.
    ///
    /// - Throws: `FaceAllError.badModel` if a setting is out of its range.
    public init(
        nets: Nets, minFace: Double = 20, thresholds: [Double] = [0.6, 0.7, 0.7], factor: Double = 0.709,
        maxProposals: Int = 2000
    ) throws {
        guard minFace >= 12, minFace.isFinite, thresholds.count == 3, thresholds.allSatisfy({ (0...1).contains($0) }),
              (0.1...0.95).contains(factor), maxProposals >= 1
        else {
            throw FaceAllError.badModel(
                "minFace \(minFace), thresholds \(thresholds), factor \(factor), maxProposals \(maxProposals): expected"
                    + " at least 12, three of 0...1, 0.1...0.95, at least 1"
            )
        }
        self.nets = nets
        self.minFace = minFace
        self.thresholds = thresholds
        self.factor = factor
        self.maxProposals = maxProposals
    }

    /// Returns every face in an image, best first.
    public func detect(in image: Pixels) async throws -> [Face] {
        let pyramid = Pyramid(width: image.width, height: image.height, minFace: minFace, factor: factor)
        if pyramid.levels.isEmpty {
            return []
        }
        let images = Squares.halvings(image)
        let proposed = try await propose(images, pyramid).map(\.square)
        let refined = try await refine(images, proposed)
        return try await finish(images, refined)
    }

    // MARK: - Proposal net

    func propose(_ images: [Pixels], _ pyramid: Pyramid) async throws -> [Box] {
        let canvas = pyramid.drawn(from: images)
        let least = logit(thresholds[0])
        var found: [Cell] = []
        for strip in pyramid.strips {
            let part = canvas.part(left: 0, top: strip.lowerBound, right: canvas.width, bottom: strip.upperBound)
            found += try peaks(of: await nets.propose(part), pyramid, strip.lowerBound / Pyramid.stride, least)
        }
        let best = descendingOrder(found.map(\.logit)).prefix(2 * maxProposals).map { found[$0] }
        let boxes = best.map { $0.box(in: pyramid) }, logits = best.map(\.logit)
        let span = Float(2 * max(images[0].width, images[0].height))
        let apart = zip(boxes, best).map { box, cell in box.shifted(by: span * Float(cell.level)) } // separate the levels
        let within = suppress(apart, scores: logits, limit: Self.levelLimit)
        let left = within.map { boxes[$0] }
        let kept = suppress(left, scores: within.map { logits[$0] }, limit: Self.faceLimit)
        return kept.prefix(maxProposals).map { left[$0] }
    }

    /// Returns the cells of a strip whose logit exceeds `least` and is not below that of any of their eight neighbours.
    private func peaks(of output: Proposals, _ pyramid: Pyramid, _ firstRow: Int, _ least: Float) throws -> [Cell] {
        let rows = min(output.rows, pyramid.owners.count - firstRow), columns = min(output.columns, pyramid.owners[0].count)
        guard rows > 0, columns > 0, output.values.count == 5 * output.rows * output.columns else {
            throw FaceAllError.badModel(
                "the proposal net returned \(output.values.count) values for \(output.rows) x \(output.columns) cells,"
                    + " expected 5 for each"
            )
        }
        func logit(_ row: Int, _ column: Int) -> Float {
            pyramid.owners[firstRow + row][column] < 0 ? -Float.infinity : output.values[row * output.columns + column]
        }
        var found: [Cell] = []
        for row in 0..<rows {
            for column in 0..<columns {
                let own = logit(row, column)
                guard own > least else { continue }
                var isPeak = true
                for y in max(row - 1, 0)...min(row + 1, rows - 1) {
                    for x in max(column - 1, 0)...min(column + 1, columns - 1) where logit(y, x) > own {
                        isPeak = false
                    }
                }
                guard isPeak else { continue }
                let offsets = (1...4).map { output.values[($0 * output.rows + row) * output.columns + column] }
                let level = pyramid.owners[firstRow + row][column]
                found.append(Cell(row: firstRow + row, column: column, level: level, logit: own, offsets: offsets))
            }
        }
        return found
    }

    // MARK: - Refinement and output net

    func refine(_ images: [Pixels], _ proposed: [Box]) async throws -> [Box] {
        let boxes = usable(proposed, images[0])
        let found = try await nets.refine(Squares.cut(boxes, from: images, size: Self.refined))
        let passed = try passing(found, boxes, outputs: 5, threshold: thresholds[1])
        let moved = passed.map { boxes[$0].moved(by: Array(found[$0][1..<5])) }
        return suppress(moved, scores: passed.map { found[$0][0] }, limit: Self.faceLimit).map { moved[$0].square }
    }

    func finish(_ images: [Pixels], _ refined: [Box]) async throws -> [Face] {
        let boxes = usable(refined, images[0])
        let found = try await nets.finish(Squares.cut(boxes, from: images, size: Self.final))
        let passed = try passing(found, boxes, outputs: 15, threshold: thresholds[2])
        if passed.isEmpty {
            return []
        }
        let all = passed.map { placed(boxes[$0], found[$0]) }
        let kept = suppress(all.map(\.box), scores: all.map(\.score), limit: Self.faceLimit, kind: .smaller)
        return try await secondPass(images, kept.map { mean(of: all, around: all[$0]) })
    }

    /// Runs the output net again on the found faces and moves each face part of the way to the new result.
    private func secondPass(_ images: [Pixels], _ faces: [Face]) async throws -> [Face] {
        let squares = faces.map(\.box.square)
        let found = try await nets.finish(Squares.cut(squares, from: images, size: Self.final))
        _ = try passing(found, squares, outputs: 15, threshold: 0)
        return zip(faces, zip(squares, found)).map { face, answer in
            let (square, numbers) = answer
            return numbers[0] > 0 ? face.nearer(to: placed(square, numbers), by: Self.secondPassWeight) : face
        }
    }

    private func usable(_ boxes: [Box], _ image: Pixels) -> [Box] {
        boxes.filter { $0.isUsable(width: image.width, height: image.height) }
    }

    /// Returns the indices of the boxes whose logit exceeds the threshold.
    private func passing(_ found: [[Float]], _ boxes: [Box], outputs: Int, threshold: Double) throws -> [Int] {
        guard found.count == boxes.count, found.allSatisfy({ $0.count >= outputs }) else {
            throw FaceAllError.badModel(
                "a net returned \(found.count) outputs of \(found.first?.count ?? 0) values for \(boxes.count) crops,"
                    + " expected \(outputs) values for each crop"
            )
        }
        let least = logit(threshold)
        return found.indices.filter { found[$0][0] > least }
    }

    private func placed(_ square: Box, _ numbers: [Float]) -> Face {
        Face(
            box: square.moved(by: Array(numbers[1..<5])), score: 1 / (1 + exp(-numbers[0])),
            landmarks: square.placed(Array(numbers[5..<15]))
        )
    }

    /// Returns the mean of all faces that overlap a face, weighted by score; it varies less than the best face alone.
    private func mean(of all: [Face], around best: Face) -> Face {
        let near = all.filter { overlap(best.box, $0.box) > Self.faceLimit }
        let powers = near.map { $0.score * $0.score * $0.score * $0.score }
        let total = powers.reduce(0, +)
        func weighted(_ value: (Face) -> Float) -> Float {
            zip(near, powers).reduce(0) { $0 + value($1.0) * ($1.1 / total) }
        }
        let box = Box(
            x0: weighted { $0.box.x0 }, y0: weighted { $0.box.y0 },
            x1: weighted { $0.box.x1 }, y1: weighted { $0.box.y1 }
        )
        let landmarks = (0..<5).map { point in
            Point(x: weighted { $0.landmarks[point].x }, y: weighted { $0.landmarks[point].y })
        }
        return Face(box: box, score: best.score, landmarks: landmarks)
    }
}

/// A window of the canvas that may contain a face.
private struct Cell {
    let row: Int
    let column: Int
    let level: Int
    let logit: Float
    let offsets: [Float]

    /// Returns the window in pixels of the image, moved by the offsets.
    ///
    /// The window omits its first row and column, which is the convention of the published weights.
    func box(in pyramid: Pyramid) -> Box {
        let scale = pyramid.scales[level]
        let place = pyramid.levels[level]
        let side = Double(Float(Pyramid.window - 1) / scale)
        let x = Double(Pyramid.stride * column - place.x + 1) / Double(scale)
        let y = Double(Pyramid.stride * row - place.y + 1) / Double(scale)
        let width = (x + side) - x, height = (y + side) - y
        return Box(
            x0: Float(x + Double(offsets[0]) * width), y0: Float(y + Double(offsets[1]) * height),
            x1: Float(x + side + Double(offsets[2]) * width), y1: Float(y + side + Double(offsets[3]) * height)
        )
    }
}

extension Box {
    fileprivate func shifted(by distance: Float) -> Box {
        Box(x0: x0 + distance, y0: y0 + distance, x1: x1 + distance, y1: y1 + distance)
    }
}

extension Face {
    /// Returns the face moved by a fraction of the difference to another face; the score is unchanged.
    fileprivate func nearer(to other: Face, by part: Float) -> Face {
        func between(_ from: Float, _ to: Float) -> Float { from + part * (to - from) }
        return Face(
            box: Box(
                x0: between(box.x0, other.box.x0), y0: between(box.y0, other.box.y0),
                x1: between(box.x1, other.box.x1), y1: between(box.y1, other.box.y1)
            ),
            score: score,
            landmarks: zip(landmarks, other.landmarks).map { Point(x: between($0.x, $1.x), y: between($0.y, $1.y)) }
        )
    }
}

/// Returns the logit of a probability.
func logit(_ probability: Double) -> Float {
    if probability <= 0 {
        return -.infinity
    }
    return probability >= 1 ? .infinity : Float(log(probability / (1 - probability)))
}

/// Returns the index of the primary face of an image, which is large and central.
///
/// The primary face has the largest value of area - 2 * (distance from the centre)².
///
/// - Parameters:
///   - faces: The faces of the image.
///   - width: The width of the image, in pixels.
///   - height: The height of the image, in pixels.
/// - Returns: The index, or `nil` if there are no faces.
public func primaryFace(_ faces: [Face], width: Int, height: Int) -> Int? {
    func worth(_ face: Face) -> Double {
        let x0 = Double(face.box.x0), y0 = Double(face.box.y0), x1 = Double(face.box.x1), y1 = Double(face.box.y1)
        let right = (x0 + x1) / 2 - Double(width) / 2, down = (y0 + y1) / 2 - Double(height) / 2
        return (x1 - x0) * (y1 - y0) - 2 * (right * right + down * down)
    }
    let worths = faces.map(worth)
    return worths.indices.max { worths[$0] < worths[$1] || (worths[$0] == worths[$1] && $0 > $1) }
}
