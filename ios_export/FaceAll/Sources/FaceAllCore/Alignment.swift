import Foundation

/// An affine map of points: x' = xx x + xy y + x0, y' = yx x + yy y + y0.
///
/// Pixel (0, 0) covers the square from 0 to 1 on both axes.
public struct AffineMap: Equatable, Sendable {
    /// The share of the input x in the output x.
    public let xx: Double
    /// The share of the input y in the output x.
    public let xy: Double
    /// The shift of the output x.
    public let x0: Double
    /// The share of the input x in the output y.
    public let yx: Double
    /// The share of the input y in the output y.
    public let yy: Double
    /// The shift of the output y.
    public let y0: Double

    /// Creates a map from its six numbers.
    public init(xx: Double, xy: Double, x0: Double, yx: Double, yy: Double, y0: Double) {
        self.xx = xx
        self.xy = xy
        self.x0 = x0
        self.yx = yx
        self.yy = yy
        self.y0 = y0
    }

    /// The signed area of a transformed unit square; negative if the map mirrors.
    var determinant: Double {
        xx * yy - xy * yx
    }

    /// The inverse map.
    ///
    /// - Precondition: The determinant is not 0.
    var inverse: AffineMap {
        let a = yy / determinant, b = -xy / determinant, c = -yx / determinant, d = xx / determinant
        return AffineMap(xx: a, xy: b, x0: -(a * x0 + b * y0), yx: c, yy: d, y0: -(c * x0 + d * y0))
    }

    func callAsFunction(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
        (xx * x + xy * y + x0, yx * x + yy * y + y0)
    }
}

/// How a model expects faces to be aligned.
///
/// A least-squares similarity transform maps the five landmarks to a template.
public struct Alignment: Equatable, Sendable, Codable {
    /// What a crop shows outside the image.
    public enum Border: String, Sendable, Codable {
        /// Black pixels.
        case black
        /// The nearest pixel of the image.
        case replicate
    }

    /// The eyes, the nose and the corners of the mouth: five points (x, y), as fractions of the input's sides.
    public let template: [[Double]]
    /// What pixels outside the image are.
    public let border: Border

    private enum CodingKeys: String, CodingKey {
        case template, interpolation, border
    }

    /// Creates an alignment from a template of five points, in fractions of the input of the net.
    public init(template: [[Double]], border: Border) {
        self.template = template
        self.border = border
    }

    /// Reads an alignment, whose template is a name or five points.
    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        border = try values.decode(Border.self, forKey: .border)
        if let name = try? values.decode(String.self, forKey: .template) {
            guard let points = namedTemplates[name] else {
                throw DecodingError.dataCorruptedError(
                    forKey: .template, in: values, debugDescription: "the template '\(name)' is unknown"
                )
            }
            template = points
        } else {
            template = try values.decode([[Double]].self, forKey: .template)
        }
        guard template.count == 5, template.allSatisfy({ $0.count == 2 }) else {
            throw DecodingError.dataCorruptedError(
                forKey: .template, in: values, debugDescription: "expected five points"
            )
        }
        guard try values.decode(String.self, forKey: .interpolation) == "bilinear" else {
            throw DecodingError.dataCorruptedError(
                forKey: .interpolation, in: values, debugDescription: "expected bilinear"
            )
        }
    }

    /// Writes the alignment with the points of its template.
    public func encode(to encoder: Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(template, forKey: .template)
        try values.encode("bilinear", forKey: .interpolation)
        try values.encode(border, forKey: .border)
    }

    /// Returns the map from an image to a model's input, in pixels of both.
    ///
    /// Degenerate landmarks are replaced by typical positions in the box.
    ///
    /// - Parameters:
    ///   - face: The face to align.
    ///   - width: The width of the model's input, in pixels.
    ///   - height: The height of the model's input, in pixels.
    public func map(of face: Face, width: Int, height: Int) -> AffineMap {
        let target = template.map { (x: $0[0] * Double(width), y: $0[1] * Double(height)) }
        return similarity(from: usablePoints(of: face) ?? usualPoints(in: face.box), to: target)
    }

    /// Returns whether the landmarks of a face can be aligned.
    public func isUsable(_ face: Face) -> Bool {
        usablePoints(of: face) != nil
    }

    private typealias Place = (x: Double, y: Double)

    private func usablePoints(of face: Face) -> [Place]? {
        let points = face.landmarks.map { (x: Double($0.x), y: Double($0.y)) }
        guard points.count == 5, points.allSatisfy({ $0.x.isFinite && $0.y.isFinite }) else {
            return nil
        }
        let box = usableBox(face.box)
        let side = (box.x1 - box.x0 + box.y1 - box.y0) / 2
        let centre = mean(points)
        let squares = points.map { ($0.x - centre.x) * ($0.x - centre.x) + ($0.y - centre.y) * ($0.y - centre.y) }
        let spread = (squares.reduce(0, +) / 5).squareRoot()
        let middleX = (box.x0 + box.x1) / 2, middleY = (box.y0 + box.y1) / 2
        let farthest = points.map { max(abs($0.x - middleX), abs($0.y - middleY)) }.max() ?? 0
        return spread > smallestSpread * side && farthest <= 4 * side ? points : nil
    }

    private func usualPoints(in box: Box) -> [Place] {
        let edges = usableBox(box)
        return usualPlaces.map {
            (x: edges.x0 + $0[0] * (edges.x1 - edges.x0), y: edges.y0 + $0[1] * (edges.y1 - edges.y0))
        }
    }

    /// Returns the box, or one pixel if the box is not finite or has no area, so that every face has a finite map.
    private func usableBox(_ box: Box) -> Region {
        let edges = [box.x0, box.y0, box.x1, box.y1]
        guard edges.allSatisfy({ $0.isFinite }), box.x1 > box.x0, box.y1 > box.y0 else {
            return Region(x0: 0, y0: 0, x1: 1, y1: 1)
        }
        return Region(x0: Double(box.x0), y0: Double(box.y0), x1: Double(box.x1), y1: Double(box.y1))
    }

    private func similarity(from points: [Place], to target: [Place]) -> AffineMap {
        let centre = mean(points), targetCentre = mean(target)
        var spread = 0.0, along = 0.0, across = 0.0
        for (point, other) in zip(points, target) {
            let px = point.x - centre.x, py = point.y - centre.y
            let qx = other.x - targetCentre.x, qy = other.y - targetCentre.y
            spread += px * px + py * py
            along += px * qx + py * qy
            across += px * qy - py * qx
        }
        let a = along / spread, b = across / spread
        return AffineMap(
            xx: a, xy: -b, x0: targetCentre.x - (a * centre.x - b * centre.y),
            yx: b, yy: a, y0: targetCentre.y - (b * centre.x + a * centre.y)
        )
    }

    private func mean(_ points: [Place]) -> Place {
        let count = Double(points.count)
        return (x: points.map(\.x).reduce(0, +) / count, y: points.map(\.y).reduce(0, +) / count)
    }
}

/// The smallest root mean square distance of usable landmarks from their mean, as a fraction of the box's side.
private let smallestSpread = 0.1

/// Typical positions of landmarks in a box, as fractions of its sides.
private let usualPlaces = [[0.27, 0.39], [0.73, 0.39], [0.5, 0.584], [0.29, 0.754], [0.71, 0.754]]

private let namedTemplates: [String: [[Double]]] = [
    "arcface-112": [
        [38.2946 / 112, 51.6963 / 112], [73.5318 / 112, 51.5014 / 112], [56.0252 / 112, 71.7366 / 112],
        [41.5493 / 112, 92.3655 / 112], [70.7299 / 112, 92.2041 / 112],
    ],
    "openvino-0095": [
        [0.31556875, 0.46157410], [0.68262292, 0.46157410], [0.50026249, 0.64050540],
        [0.34947187, 0.82469192], [0.65343645, 0.82469192],
    ],
]

extension Pixels {
    /// Returns the image transformed by an affine map.
    ///
    /// If the map reduces the image by a factor of two or more, blocks of pixels are averaged first.
    /// Sampling is bilinear.
    ///
    /// - Parameters:
    ///   - map: The map from this image to the result.
    ///   - newWidth: The width of the result, in pixels.
    ///   - newHeight: The height of the result, in pixels.
    ///   - border: What the result shows outside this image.
    /// - Throws: `FaceAllError.badImage` if the map is not finite or cannot be inverted, or if the result is empty.
    public func warped(
        _ map: AffineMap, width newWidth: Int, height newHeight: Int, border: Alignment.Border
    ) throws -> Pixels {
        let numbers = [map.xx, map.xy, map.x0, map.yx, map.yy, map.y0]
        guard numbers.allSatisfy({ $0.isFinite }), abs(map.determinant) >= 1e-12, newWidth > 0, newHeight > 0 else {
            throw FaceAllError.badImage("the map \(numbers) to \(newWidth) x \(newHeight) pixels cannot be used")
        }
        let back = map.inverse
        let factor = max(1, min(Int((1 / abs(map.determinant).squareRoot() + 1e-9).rounded(.down)), 1 << 16))
        let x = shown(back, newWidth, newHeight, 2 * factor, width) { $0.x }
        let y = shown(back, newWidth, newHeight, 2 * factor, height) { $0.y }
        guard x.first < x.last, y.first < y.last else {
            return outside(back, newWidth, newHeight, border)
        }
        let blocks = averaged(x.first, y.first, x.last, y.last, factor)
        var result = Pixels(width: newWidth, height: newHeight)
        var place = 0
        for row in 0..<newHeight {
            for column in 0..<newWidth {
                let point = back(Double(column) + 0.5, Double(row) + 0.5)
                let partX = Float((point.x - Double(x.first)) / Double(factor) - 0.5)
                let partY = Float((point.y - Double(y.first)) / Double(factor) - 0.5)
                for colour in 0..<3 {
                    result.values[place] = blocks.sample(partX, partY, colour, border)
                    place += 1
                }
            }
        }
        return result
    }

    /// Returns the range of pixels that a result shows along one axis, with a margin; `last` is exclusive.
    private func shown(
        _ back: AffineMap, _ newWidth: Int, _ newHeight: Int, _ margin: Int, _ limit: Int,
        _ axis: ((x: Double, y: Double)) -> Double
    ) -> (first: Int, last: Int) {
        let right = Double(newWidth), bottom = Double(newHeight)
        let corners = [back(0, 0), back(right, 0), back(0, bottom), back(right, bottom)].map(axis)
        let low = (corners.min() ?? 0) - Double(margin), high = (corners.max() ?? 0) + Double(margin)
        let first = min(max(low, 0), Double(limit)), last = min(max(high, 0), Double(limit))
        return (Int(first.rounded(.down)), Int(last.rounded(.up)))
    }

    /// Returns the mean of each block in a part of the image; the last row and column are repeated to fill blocks.
    private func averaged(_ left: Int, _ top: Int, _ right: Int, _ bottom: Int, _ factor: Int) -> Pixels {
        let columns = (right - left + factor - 1) / factor, rows = (bottom - top + factor - 1) / factor
        var result = Pixels(width: columns, height: rows)
        let scale = 1 / Float(factor * factor)
        var place = 0
        for row in 0..<rows {
            for column in 0..<columns {
                for colour in 0..<3 {
                    var sum = 0
                    for down in 0..<factor {
                        let y = min(top + row * factor + down, bottom - 1)
                        for across in 0..<factor {
                            let x = min(left + column * factor + across, right - 1)
                            sum += Int(values[(y * width + x) * 3 + colour])
                        }
                    }
                    result.values[place] = factor == 1 ? UInt8(sum) : rounded(Float(sum) * scale)
                    place += 1
                }
            }
        }
        return result
    }

    /// Returns one colour, interpolated bilinearly; coordinates count from pixel centres.
    private func sample(_ x: Float, _ y: Float, _ colour: Int, _ border: Alignment.Border) -> UInt8 {
        let left = x.rounded(.down), top = y.rounded(.down), across = x - left, down = y - top
        let a = pixel(left, top, colour, border), b = pixel(left + 1, top, colour, border)
        let c = pixel(left, top + 1, colour, border), d = pixel(left + 1, top + 1, colour, border)
        let upper = a * (1 - across) + b * across, lower = c * (1 - across) + d * across
        return rounded(upper * (1 - down) + lower * down)
    }

    private func pixel(_ x: Float, _ y: Float, _ colour: Int, _ border: Alignment.Border) -> Float {
        let lastX = Float(width - 1), lastY = Float(height - 1)
        if border == .black && (x < 0 || y < 0 || x > lastX || y > lastY) {
            return 0
        }
        let column = Int(min(max(x, 0), lastX)), row = Int(min(max(y, 0), lastY))
        return Float(values[(row * width + column) * 3 + colour])
    }

    /// Returns the result of a map that shows no pixel of the image.
    private func outside(_ back: AffineMap, _ newWidth: Int, _ newHeight: Int, _ border: Alignment.Border) -> Pixels {
        var result = Pixels(width: newWidth, height: newHeight)
        guard border == .replicate else {
            return result
        }
        let centre = back(Double(newWidth) / 2, Double(newHeight) / 2)
        let x = Int(min(max(centre.x, 0), Double(width - 1))), y = Int(min(max(centre.y, 0), Double(height - 1)))
        let start = (y * width + x) * 3
        for place in result.values.indices {
            result.values[place] = values[start + place % 3]
        }
        return result
    }
}
