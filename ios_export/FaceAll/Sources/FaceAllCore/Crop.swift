import Foundation

/// A region of an image: x0, y0, x1, y1 in pixels, in double precision. It may extend beyond the image.
public struct Region: Equatable, Sendable {
    /// The left edge.
    public var x0: Double
    /// The upper edge.
    public var y0: Double
    /// The right edge.
    public var x1: Double
    /// The lower edge.
    public var y1: Double

    /// Creates a region from its edges, in pixels.
    public init(x0: Double, y0: Double, x1: Double, y1: Double) {
        self.x0 = x0
        self.y0 = y0
        self.x1 = x1
        self.y1 = y1
    }
}

/// The largest accepted coordinate, in pixels. Integers up to this limit are exact in `Float`.
private let farthest = 1e7

extension Pixels {
    /// Returns a region of the image, scaled to the given size; pixels outside the image are black.
    ///
    /// Enlarged regions are sampled bilinearly. For reduced regions, the edges are rounded to whole pixels and areas
    /// are averaged.
    ///
    /// - Parameters:
    ///   - region: The region to cut out, in pixels of this image.
    ///   - newWidth: The width of the result, in pixels.
    ///   - newHeight: The height of the result, in pixels.
    /// - Throws: `FaceAllError.badImage` if the region is empty, not finite or has coordinates beyond 1e7, or if the
    ///   result is empty.
    public func cropped(_ region: Region, width newWidth: Int, height newHeight: Int) throws -> Pixels {
        let edges = [region.x0, region.y0, region.x1, region.y1]
        guard edges.allSatisfy({ abs($0) <= farthest }), region.x1 > region.x0, region.y1 > region.y0 else {
            throw FaceAllError.badImage("the region is \(edges), expected finite x0 < x1 and y0 < y1")
        }
        guard newWidth > 0, newHeight > 0 else {
            throw FaceAllError.badImage("the crop has \(newWidth) x \(newHeight) pixels, expected at least 1 x 1")
        }
        if region.x1 - region.x0 <= Double(newWidth) && region.y1 - region.y0 <= Double(newHeight) {
            return sampled(region, newWidth, newHeight)
        }
        let whole = edges.map { Int($0.rounded(.toNearestOrEven)) }
        let across = Span(first: whole[0], last: whole[0] + max(whole[2] - whole[0], 1), limit: width)
        let down = Span(first: whole[1], last: whole[1] + max(whole[3] - whole[1], 1), limit: height)
        return shrunk(across, down, newWidth, newHeight)
    }

    /// Returns a region that is not larger than the result, sampled bilinearly.
    private func sampled(_ region: Region, _ newWidth: Int, _ newHeight: Int) -> Pixels {
        let across = (region.x1 - region.x0) / Double(newWidth), down = (region.y1 - region.y0) / Double(newHeight)
        let columns = (0..<newWidth).map { Float(region.x0 + across / 2 - 0.5 + across * Double($0)) }
        let rows = (0..<newHeight).map { Float(region.y0 + down / 2 - 0.5 + down * Double($0)) }
        return sampled(columns, rows, outside: 0)
    }

    /// Returns bilinear samples at every combination of a column and a row; pixels outside have the gray `outside`.
    func sampled(_ columns: [Float], _ rows: [Float], outside: UInt8) -> Pixels {
        var result = Pixels(width: columns.count, height: rows.count)
        var place = 0
        for y in rows {
            let top = y.rounded(.down), down = y - top
            for x in columns {
                let left = x.rounded(.down), across = x - left
                for colour in 0..<3 {
                    let a = value(left, top, colour, outside), b = value(left + 1, top, colour, outside)
                    let c = value(left, top + 1, colour, outside), d = value(left + 1, top + 1, colour, outside)
                    let upper = a * (1 - across) + b * across, lower = c * (1 - across) + d * across
                    result.values[place] = rounded(upper * (1 - down) + lower * down)
                    place += 1
                }
            }
        }
        return result
    }

    private func value(_ x: Float, _ y: Float, _ colour: Int, _ outside: UInt8) -> Float {
        guard x >= 0, y >= 0, x < Float(width), y < Float(height) else {
            return Float(outside)
        }
        return Float(values[(Int(y) * width + Int(x)) * 3 + colour])
    }

    /// Returns a region of whole pixels, reduced along at least one axis, with a black border.
    private func shrunk(_ across: Span, _ down: Span, _ newWidth: Int, _ newHeight: Int) -> Pixels {
        var result = Pixels(width: newWidth, height: newHeight)
        guard across.low < across.high, down.low < down.high else {
            return result
        }
        let x = across.placed(in: newWidth), y = down.placed(in: newHeight)
        let inside = part(
            left: across.low, top: down.low, right: across.high, bottom: down.high,
            above: y.before, below: y.after, before: x.before, after: x.after
        )
        result.put(inside.resized(width: x.stop - x.start, height: y.stop - y.start), left: x.start, top: y.start)
        return result
    }
}

/// A region along one axis, and the part of it that lies inside the image (`low` to `high`).
private struct Span {
    let first: Int
    let last: Int
    let low: Int
    let high: Int

    init(first: Int, last: Int, limit: Int) {
        self.first = first
        self.last = last
        low = min(max(first, 0), limit)
        high = min(max(last, 0), limit)
    }

    /// Returns the position of the inside part in a result of `target` pixels, and the black padding to whole pixels.
    ///
    /// There is no padding if it would be larger than the part itself, as for a tiny part of a huge region.
    func placed(in target: Int) -> (start: Int, stop: Int, before: Int, after: Int) {
        let step = Double(last - first) / Double(target)
        let start = min(Int(Double(low - first) / step), target - 1)
        let stop = max(start + 1, min(Int((Double(high - first) / step).rounded(.up)), target))
        let before = low - Int((Double(first) + Double(start) * step).rounded(.toNearestOrEven))
        let after = Int((Double(first) + Double(stop) * step).rounded(.toNearestOrEven)) - high
        if max(before, after) > high - low {
            return (start, stop, 0, 0)
        }
        return (start, stop, max(before, 0), max(after, 0))
    }
}
