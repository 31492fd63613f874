import Foundation

/// The image pyramid: one picture in many sizes, packed on one canvas, so that one pass of a net sees them all.
///
///     +-----------+-------+
///     | level 0   |   1   |     a net that looks at 12 x 12 windows, 2 pixels apart, gives one cell for each window;
///     |           +---+---+     cells whose window lies across two levels belong to none
///     |           | 2 | 3 |
///     +-----------+---+---+
public struct Pyramid: Equatable, Sendable {
    /// The side of the net's window, in pixels.
    public static let window = 12
    /// From one window to the next, in pixels.
    public static let stride = 2

    /// Canvas sides are multiples of this: few different sizes, so few to prepare for.
    static let grid = 16
    static let stripPixels = 1 << 20
    static let finer = 3

    /// The picture at one size, and its place on the canvas, which is even.
    public struct Level: Equatable, Sendable, Codable {
        public var width: Int
        public var height: Int
        public var x = 0
        public var y = 0
    }

    /// The sizes, largest first; none where the picture is smaller than the smallest face.
    public let levels: [Level]
    /// Of the canvas.
    public let width: Int
    public let height: Int
    /// For every row and column of cells the level that the window lies in, -1 where in none.
    public let owners: [[Int]]
    /// Pixels of each level for each pixel of the picture.
    public let scales: [Float]

    /// Lay out the pyramid of a picture.
    ///
    /// - Parameters:
    ///   - minFace: the side in pixels of the smallest face that is looked for
    ///   - factor: from one size to the next smaller one
    public init(width pictureWidth: Int, height pictureHeight: Int, minFace: Double, factor: Double) {
        let sizes = levelSizes(pictureWidth, pictureHeight, minFace, factor)
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

    /// The canvas with every level drawn on it; the rest is black. Odd sides get their last row or column twice.
    ///
    /// - Parameter pictures: the picture and its halvings; each level is made from the smallest that is three times as
    ///   large, in a third of the time
    public func drawn(from pictures: [Pixels]) -> Pixels {
        var canvas = Pixels(width: width, height: height)
        for level in levels {
            let source = pictures.last { $0.width >= Pyramid.finer * level.width } ?? pictures[0]
            let isSlightly = source.width < 2 * level.width // then averaging gains nothing
            let drawn = isSlightly
                ? source.interpolated(width: level.width, height: level.height)
                : source.averaged(width: level.width, height: level.height)
            canvas.put(drawn.evened, left: level.x, top: level.y)
        }
        return canvas
    }

    /// A tall canvas in strips of about a million pixels: the first row of each and the one after its last.
    ///
    /// They overlap by one window, so that every cell is in one of them, and are equally high.
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
    /// With even sides: the last column and row twice where they are odd.
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

/// How many windows fit side by side; the last one may reach a pixel beyond an odd side.
func cells(_ pixels: Int) -> Int {
    (pixels + pixels % Pyramid.stride - Pyramid.window) / Pyramid.stride + 1
}

/// Every size at which a face of `minFace` pixels or more can fill the window, largest first.
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

/// The places of all levels on the smallest canvas, of a few widths that are tried.
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

/// A corner of the free space: from x on, the canvas is free below y.
private struct Step {
    let x: Int
    let y: Int
}

/// Place the levels one after the other, each as high up as it fits, leftmost first.
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

/// Where something `needed` pixels wide can stand highest, leftmost of equals.
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
    return best! // the first step always has room: no level is wider than the first, which the canvas holds
}

/// The skyline after something has been put on `from` to `to` that reaches down to `y`.
private func raised(_ skyline: [Step], from start: Int, to end: Int, y: Int) -> [Step] {
    let behind = skyline.last { $0.x <= end }!.y
    let before = skyline.filter { $0.x < start }, after = skyline.filter { $0.x > end }
    return before + [Step(x: start, y: y), Step(x: end, y: behind)] + after
}

private func roundedUp(_ pixels: Int) -> Int {
    (pixels + Pyramid.grid - 1) / Pyramid.grid * Pyramid.grid
}
