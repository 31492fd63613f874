import Foundation

/// What the first net says about every window of a canvas.
public struct Proposals: Sendable {
    /// Of cells.
    public let rows: Int
    public let columns: Int
    /// Five planes of rows * columns numbers: the logit of a face, then four offsets.
    public let values: [Float]

    public init(rows: Int, columns: Int, values: [Float]) {
        self.rows = rows
        self.columns = columns
        self.values = values
    }
}

/// The three nets of MTCNN, run by whatever is there: Core ML on a phone, recorded answers in a test.
///
/// Pixels go in as 0 to 255: the nets' standardisation is folded into their first layer.
public protocol MTCNNNets: Sendable {
    /// The first net on a canvas of any size; a window every two pixels.
    func propose(_ canvas: Pixels) async throws -> Proposals
    /// The second net on crops of 24 x 24: for each a logit and four offsets.
    func refine(_ crops: [Pixels]) async throws -> [[Float]]
    /// The third net on crops of 48 x 48: for each a logit, four offsets and ten landmarks (five x, five y).
    func finish(_ crops: [Pixels]) async throws -> [[Float]]
}

/// Finds faces: MTCNN (Zhang et al. 2016), three small nets, each looking closer at what the one before let through.
public struct Detector<Nets: MTCNNNets>: Sendable {
    private static var refined: Int { 24 }
    private static var final: Int { 48 }
    private static var samePlace: Float { 0.5 } // overlap within a level
    private static var sameThing: Float { 0.7 } // overlap across levels, and of two boxes with one face
    private static var secondLook: Float { 0.3 }

    /// The side in pixels of the smallest face that is looked for.
    public var minFace: Double
    /// How sure each of the three nets has to be, 0 to 1.
    public var thresholds: [Double]
    /// From one size of the picture to the next smaller one.
    public var factor: Double
    /// At most this many places, the surest ones, are looked at closely.
    public var maxProposals: Int
    private let nets: Nets

    /// - Throws: `FaceAllError.badModel` for a setting out of its range.
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

    /// Every face in a picture, best first.
    public func detect(in picture: Pixels) async throws -> [Face] {
        let pyramid = Pyramid(width: picture.width, height: picture.height, minFace: minFace, factor: factor)
        if pyramid.levels.isEmpty {
            return []
        }
        let pictures = Squares.halvings(picture)
        let proposed = try await propose(pictures, pyramid).map(\.square)
        let refined = try await refine(pictures, proposed)
        return try await finish(pictures, refined)
    }

    // MARK: - The first net

    func propose(_ pictures: [Pixels], _ pyramid: Pyramid) async throws -> [Box] {
        let canvas = pyramid.drawn(from: pictures)
        let least = logit(thresholds[0])
        var found: [Cell] = []
        for strip in pyramid.strips {
            let part = canvas.part(left: 0, top: strip.lowerBound, right: canvas.width, bottom: strip.upperBound)
            found += try peaks(of: await nets.propose(part), pyramid, strip.lowerBound / Pyramid.stride, least)
        }
        let best = descendingOrder(found.map(\.logit)).prefix(2 * maxProposals).map { found[$0] }
        let boxes = best.map { $0.box(in: pyramid) }, logits = best.map(\.logit)
        let span = Float(2 * max(pictures[0].width, pictures[0].height))
        let apart = zip(boxes, best).map { box, cell in box.shifted(by: span * Float(cell.level)) } // levels moved apart
        let within = suppress(apart, scores: logits, limit: Self.samePlace)
        let left = within.map { boxes[$0] }
        let kept = suppress(left, scores: within.map { logits[$0] }, limit: Self.sameThing)
        return kept.prefix(maxProposals).map { left[$0] }
    }

    /// The promising cells of a strip: surer than `least` and than their eight neighbours.
    private func peaks(of output: Proposals, _ pyramid: Pyramid, _ firstRow: Int, _ least: Float) throws -> [Cell] {
        let rows = min(output.rows, pyramid.owners.count - firstRow), columns = min(output.columns, pyramid.owners[0].count)
        guard rows > 0, columns > 0, output.values.count == 5 * output.rows * output.columns else {
            throw FaceAllError.badModel(
                "the proposal net gives \(output.values.count) numbers for \(output.rows) x \(output.columns) cells,"
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

    // MARK: - The second and the third net

    func refine(_ pictures: [Pixels], _ proposed: [Box]) async throws -> [Box] {
        let boxes = usable(proposed, pictures[0])
        let found = try await nets.refine(Squares.cut(boxes, from: pictures, size: Self.refined))
        let passed = try passing(found, boxes, outputs: 5, threshold: thresholds[1])
        let moved = passed.map { boxes[$0].moved(by: Array(found[$0][1..<5])) }
        return suppress(moved, scores: passed.map { found[$0][0] }, limit: Self.sameThing).map { moved[$0].square }
    }

    func finish(_ pictures: [Pixels], _ refined: [Box]) async throws -> [Face] {
        let boxes = usable(refined, pictures[0])
        let found = try await nets.finish(Squares.cut(boxes, from: pictures, size: Self.final))
        let passed = try passing(found, boxes, outputs: 15, threshold: thresholds[2])
        if passed.isEmpty {
            return []
        }
        let all = passed.map { placed(boxes[$0], found[$0]) }
        let kept = suppress(all.map(\.box), scores: all.map(\.score), limit: Self.sameThing, kind: .smaller)
        return try await lookedAtAgain(pictures, kept.map { mean(of: all, around: all[$0]) })
    }

    /// Ask the last net once more, now that the faces are known better, and go a part of the way to its answer.
    private func lookedAtAgain(_ pictures: [Pixels], _ faces: [Face]) async throws -> [Face] {
        let squares = faces.map(\.box.square)
        let found = try await nets.finish(Squares.cut(squares, from: pictures, size: Self.final))
        _ = try passing(found, squares, outputs: 15, threshold: 0)
        return zip(faces, zip(squares, found)).map { face, answer in
            let (square, numbers) = answer
            return numbers[0] > 0 ? face.nearer(to: placed(square, numbers), by: Self.secondLook) : face
        }
    }

    private func usable(_ boxes: [Box], _ picture: Pixels) -> [Box] {
        boxes.filter { $0.isUsable(width: picture.width, height: picture.height) }
    }

    /// The numbers of the boxes that a net takes for faces.
    private func passing(_ found: [[Float]], _ boxes: [Box], outputs: Int, threshold: Double) throws -> [Int] {
        guard found.count == boxes.count, found.allSatisfy({ $0.count >= outputs }) else {
            throw FaceAllError.badModel(
                "a net gives \(found.count) answers of \(found.first?.count ?? 0) numbers for \(boxes.count) crops,"
                    + " expected \(outputs) for each"
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

    /// The mean of all that nearly cover a face, surer ones counting more: steadier than the best alone.
    private func mean(of all: [Face], around best: Face) -> Face {
        let near = all.filter { overlap(best.box, $0.box) > Self.sameThing }
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

/// A window of the canvas that might hold a face.
private struct Cell {
    let row: Int
    let column: Int
    let level: Int
    let logit: Float
    let offsets: [Float]

    /// The window in the picture's pixels, without its first row and column as everyone has it who uses these weights,
    /// moved by the offsets.
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
    /// A part of the way to another answer; the score stays.
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

/// What the nets give for this probability.
func logit(_ probability: Double) -> Float {
    if probability <= 0 {
        return -.infinity
    }
    return probability >= 1 ? .infinity : Float(log(probability / (1 - probability)))
}

/// The number of the face that a portrait is of: large and central, area - 2 * (distance from the centre)².
///
/// - Returns: nil where there is no face
public func chiefFace(_ faces: [Face], width: Int, height: Int) -> Int? {
    func worth(_ face: Face) -> Double {
        let x0 = Double(face.box.x0), y0 = Double(face.box.y0), x1 = Double(face.box.x1), y1 = Double(face.box.y1)
        let right = (x0 + x1) / 2 - Double(width) / 2, down = (y0 + y1) / 2 - Double(height) / 2
        return (x1 - x0) * (y1 - y0) - 2 * (right * right + down * down)
    }
    let worths = faces.map(worth)
    return worths.indices.max { worths[$0] < worths[$1] || (worths[$0] == worths[$1] && $0 > $1) }
}
