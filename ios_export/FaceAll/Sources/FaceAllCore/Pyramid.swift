import Foundation

/// An image pyramid: one image in many sizes, packed on one canvas, so that one run of a net covers all sizes.
///
///     +-----------+-------+
///     | level 0   |   1   |     a net with windows of 12 x 12 pixels every 2 pixels returns one cell for each window;
///     |           +---+---+     a cell whose window covers two levels belongs to none
///     |           | 2 | 3 |
///     +-----------+---+---+
public struct Pyramid: Equatable, Sendable {
    /// The side of the net's window, in pixels.
    public static let window = 12
    /// The distance between windows, in pixels.
    public static let stride = 2

    /// Canvas sides are multiples of this, so that a net has to be prepared for few sizes.
    static let grid = 16
    static let stripPixels = 1 << 20
    static let finer = 2.5

    /// The image at one size and its position on the canvas, which has even coordinates.
    public struct Level: Equatable, Sendable, Codable {
        /// The width of the level, in pixels.
        public var width: Int
        /// The height of the level, in pixels.
        public var height: Int
        /// The left edge of the level on the canvas.
        public var x = 0
        /// The upper edge of the level on the canvas.
        public var y = 0
    }

    /// The levels, largest first; empty if the image is smaller than the smallest face.
    public let levels: [Level]
    /// The width of the canvas, in pixels.
    public let width: Int
    /// The height of the canvas, in pixels.
    public let height: Int
    /// The level of each cell, by row and column; -1 if the window does not lie in one level.
    public let owners: [[Int]]
    /// The scale of each level relative to the image.
    public let scales: [Float]

    /// Lays out the pyramid of an image.
    ///
    /// - Parameters:
    ///   - imageWidth: The width of the image, in pixels.
    ///   - imageHeight: The height of the image, in pixels.
    ///   - minFace: The side of the smallest face to find, in pixels.
    ///   - factor: The ratio between one level and the next larger one.
    public init(width imageWidth: Int, height imageHeight: Int, minFace: Double, factor: Double) {
        let sizes = levelSizes(imageWidth, imageHeight, minFace, factor)
        let packing = bestPacking(sizes)
        levels = packing.levels
        width = packing.width
        height = packing.height
        var owners = [[Int]](repeating: [Int](repeating: -1, count: cells(packing.width)), count: cells(packing.height))
        for (number, level) in packing.levels.enumerated() {
            let row = level.y / Pyramid.stride, column = level.x / Pyramid.stride
            for line in row..<(row + cells(level.height)) {
                for place in column..<(column + cells(level.width)) {
                    owners[line][place] = number
                }
            }
        }
        self.owners = owners
        let first = Double(Pyramid.window) / minFace
        scales = packing.levels.indices.map { Float(first * pow(factor, Double($0))) }
    }

    /// Returns the canvas with every level drawn on it; the rest is black.
    ///
    /// The last row or column is repeated if the height or width of a level is odd. Each level is scaled from the
    /// smallest halving that is at least 2.5 times as wide, which is about three times as fast as scaling the image.
    ///
    /// - Parameter images: The image and its halvings.
    public func drawn(from images: [Pixels]) -> Pixels {
        var canvas = Pixels(width: width, height: height)
        for level in levels {
            let source = images.last { Double($0.width) >= Pyramid.finer * Double(level.width) } ?? images[0]
            let isSlightly = source.width < 2 * level.width // averaging has no benefit
            let drawn = isSlightly
                ? source.interpolated(width: level.width, height: level.height)
                : source.averaged(width: level.width, height: level.height)
            canvas.put(drawn.evened, left: level.x, top: level.y)
        }
        return canvas
    }

    /// Row ranges that divide a tall canvas into strips of about a million pixels.
    ///
    /// The strips have the same height and overlap by one window, so that every cell lies in a strip.
    public var strips: [Range<Int>] {
        let stripHeight = max(Pyramid.stripPixels / width / Pyramid.grid, 2) * Pyramid.grid
        if height <= stripHeight {
            return [0..<height]
        }
        let shared = Pyramid.window - Pyramid.stride
        return Swift.stride(from: 0, to: height - shared, by: stripHeight - shared).map { start in
            start + stripHeight <= height ? start..<(start + stripHeight) : (height - stripHeight)..<height
        }
    }
}

extension Pixels {
    /// The image with even sides; the last column or row is repeated if necessary.
    fileprivate var evened: Pixels {
        let right = width % Pyramid.stride, below = height % Pyramid.stride
        if right == 0 && below == 0 {
            return self
        }
        var result = Pixels(width: width + right, height: height + below)
        result.put(self, left: 0, top: 0)
        if right > 0 {
            result.put(part(left: width - 1, top: 0, right: width, bottom: height), left: width, top: 0)
        }
        if below > 0 {
            result.put(result.part(left: 0, top: height - 1, right: width, bottom: height), left: 0, top: height)
        }
        return result
    }
}

/// Returns the number of windows along a side; the last one may extend one pixel beyond an odd side.
func cells(_ pixels: Int) -> Int {
    (pixels + pixels % Pyramid.stride - Pyramid.window) / Pyramid.stride + 1
}

/// Returns the sizes at which faces of `minFace` pixels or more fill the window, largest first.
private func levelSizes(_ width: Int, _ height: Int, _ minFace: Double, _ factor: Double) -> [Pyramid.Level] {
    var scale = Double(Pyramid.window) / minFace
    var sizes: [Pyramid.Level] = []
    while Double(min(width, height)) * scale >= Double(Pyramid.window) {
        sizes.append(Pyramid.Level(width: Int(Double(width) * scale), height: Int(Double(height) * scale)))
        scale *= factor
    }
    return sizes
}

private struct Packing {
    let levels: [Pyramid.Level]
    let width: Int
    let height: Int
}

/// Returns the packing with the smallest canvas of the few widths that are tried.
private func bestPacking(_ sizes: [Pyramid.Level]) -> Packing {
    guard let largest = sizes.first else {
        return Packing(levels: [], width: Pyramid.window, height: Pyramid.window)
    }
    var widths: Set<Int> = [roundedUp(largest.width)]
    for size in sizes.dropFirst().prefix(2) {
        widths.insert(roundedUp(largest.width + size.width + 1))
    }
    var best: Packing?
    for width in widths.sorted() {
        let packing = packed(sizes, width)
        if let known = best, known.width * known.height <= packing.width * packing.height {
            continue
        }
        best = packing
    }
    return best!
}

/// A step of the skyline: to the right of x, the canvas is free below y.
private struct Step {
    let x: Int
    let y: Int
}

/// Packs the levels one after the other, each at the highest free position, leftmost first.
private func packed(_ sizes: [Pyramid.Level], _ width: Int) -> Packing {
    var skyline = [Step(x: 0, y: 0), Step(x: width, y: 0)]
    var placed: [Pyramid.Level] = []
    for size in sizes {
        let evenWidth = size.width + size.width % 2, evenHeight = size.height + size.height % 2
        let spot = highestSpot(skyline, evenWidth, width)
        placed.append(Pyramid.Level(width: size.width, height: size.height, x: spot.x, y: spot.y))
        skyline = raised(skyline, from: spot.x, to: spot.x + evenWidth, y: spot.y + evenHeight)
    }
    let height = placed.map { $0.y + $0.height }.max() ?? 0
    return Packing(levels: placed, width: width, height: roundedUp(height))
}

/// Returns the highest position for a level of `needed` pixels in width, the leftmost of equal ones.
private func highestSpot(_ skyline: [Step], _ needed: Int, _ width: Int) -> Step {
    var best: Step?
    for start in skyline.dropLast() where start.x + needed <= width {
        var y = 0
        for (left, right) in zip(skyline, skyline.dropFirst()) where left.x < start.x + needed && right.x > start.x {
            y = max(y, left.y)
        }
        if best == nil || y < best!.y || (y == best!.y && start.x < best!.x) {
            best = Step(x: start.x, y: y)
        }
    }
    return best! // never nil: no level is wider than the first, which fits the canvas
}

/// Returns the skyline after a level from `start` to `end` that extends down to `y` is placed.
private func raised(_ skyline: [Step], from start: Int, to end: Int, y: Int) -> [Step] {
    let behind = skyline.last { $0.x <= end }!.y
    let before = skyline.filter { $0.x < start }, after = skyline.filter { $0.x > end }
    return before + [Step(x: start, y: y), Step(x: end, y: behind)] + after
}

private func roundedUp(_ pixels: Int) -> Int {
    (pixels + Pyramid.grid - 1) / Pyramid.grid * Pyramid.grid
}
