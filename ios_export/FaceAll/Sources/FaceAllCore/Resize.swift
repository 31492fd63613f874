import Foundation

/// Resizing with the arithmetic of OpenCV, which the server uses, so that results are the same to the byte.
extension Pixels {
    /// Returns the image in the given size: axes that shrink are averaged by area, axes that grow are interpolated.
    public func resized(width newWidth: Int, height newHeight: Int) -> Pixels {
        let smallerWidth = min(newWidth, width), smallerHeight = min(newHeight, height)
        var result = self
        if smallerWidth != width || smallerHeight != height {
            result = result.averaged(width: smallerWidth, height: smallerHeight)
        }
        if smallerWidth != newWidth || smallerHeight != newHeight {
            result = result.interpolated(width: newWidth, height: newHeight)
        }
        return result
    }

    /// Returns the reduced image; each new pixel is the mean of the area that it covers.
    func averaged(width newWidth: Int, height newHeight: Int) -> Pixels {
        if newWidth == width && newHeight == height {
            return self
        }
        if width % newWidth == 0 && height % newHeight == 0 {
            return averagedBlocks(across: width / newWidth, down: height / newHeight)
        }
        let columns = areaShares(from: width, to: newWidth), rows = areaShares(from: height, to: newHeight)
        var result = Pixels(width: newWidth, height: newHeight)
        var line = [Float](repeating: 0, count: newWidth * 3)
        var sums = [Float](repeating: 0, count: newWidth * 3)
        for (row, shares) in rows.enumerated() {
            for (number, share) in shares.enumerated() {
                averageRow(share.source, columns, into: &line)
                for place in 0..<line.count {
                    let weighted = share.weight * line[place]
                    sums[place] = number == 0 ? weighted : sums[place] + weighted
                }
            }
            for place in 0..<sums.count {
                result.values[row * newWidth * 3 + place] = rounded(sums[place])
            }
        }
        return result
    }

    /// Reduces one row of the image along x.
    private func averageRow(_ row: Int, _ columns: [[Share]], into line: inout [Float]) {
        for (column, shares) in columns.enumerated() {
            var red: Float = 0, green: Float = 0, blue: Float = 0
            for share in shares {
                let place = (row * width + share.source) * 3
                red += Float(values[place]) * share.weight
                green += Float(values[place + 1]) * share.weight
                blue += Float(values[place + 2]) * share.weight
            }
            line[column * 3] = red
            line[column * 3 + 1] = green
            line[column * 3 + 2] = blue
        }
    }

    /// Returns the means of blocks of whole pixels.
    private func averagedBlocks(across: Int, down: Int) -> Pixels {
        var result = Pixels(width: width / across, height: height / down)
        let share = Float(1.0 / Double(across * down))
        for row in 0..<result.height {
            for column in 0..<result.width {
                for colour in 0..<3 {
                    var sum = 0
                    for y in (row * down)..<((row + 1) * down) {
                        for x in (column * across)..<((column + 1) * across) {
                            sum += Int(values[(y * width + x) * 3 + colour])
                        }
                    }
                    let mean = across == 2 && down == 2 ? UInt8((sum + 2) >> 2) : rounded(Float(sum) * share)
                    result.values[(row * result.width + column) * 3 + colour] = mean
                }
            }
        }
        return result
    }

    /// Returns the image scaled by bilinear interpolation between pixel centres, with weights in units of 1/2048.
    func interpolated(width newWidth: Int, height newHeight: Int) -> Pixels {
        if newWidth == width && newHeight == height {
            return self
        }
        if width == 2 * newWidth && height == 2 * newHeight {
            return averagedBlocks(across: 2, down: 2)
        }
        let columns = linearShares(from: width, to: newWidth, stopAtEdges: true)
        let rows = linearShares(from: height, to: newHeight, stopAtEdges: false)
        var result = Pixels(width: newWidth, height: newHeight)
        for (row, down) in rows.enumerated() {
            let upper = down.first * width, lower = down.second * width
            for (column, across) in columns.enumerated() {
                for colour in 0..<3 {
                    let top = Int(values[(upper + across.first) * 3 + colour]) * across.firstWeight
                        + Int(values[(upper + across.second) * 3 + colour]) * across.secondWeight
                    let bottom = Int(values[(lower + across.first) * 3 + colour]) * across.firstWeight
                        + Int(values[(lower + across.second) * 3 + colour]) * across.secondWeight
                    let sum = ((down.firstWeight * (top >> 4)) >> 16) + ((down.secondWeight * (bottom >> 4)) >> 16)
                    result.values[(row * newWidth + column) * 3 + colour] = UInt8(min(max((sum + 2) >> 2, 0), 255))
                }
            }
        }
        return result
    }
}

/// A source pixel and its weight.
private struct Share {
    let source: Int
    let weight: Float
}

/// Two neighbouring pixels and their weights in units of 1/2048.
private struct Neighbours {
    let first: Int
    let second: Int
    let firstWeight: Int
    let secondWeight: Int
}

/// Returns, for every pixel of the result, the source pixels that it covers and their weights.
private func areaShares(from source: Int, to target: Int) -> [[Share]] {
    let scale = 1 / (Double(target) / Double(source))
    return (0..<target).map { number in
        let start = Double(number) * scale, end = start + scale
        let cell = min(scale, Double(source) - start)
        let last = min(Int(end.rounded(.down)), source - 1)
        let first = min(Int(start.rounded(.up)), last)
        var shares: [Share] = []
        if Double(first) - start > 1e-3 {
            shares.append(Share(source: first - 1, weight: Float((Double(first) - start) / cell)))
        }
        for pixel in first..<last {
            shares.append(Share(source: pixel, weight: Float(1 / cell)))
        }
        if end - Double(last) > 1e-3 {
            shares.append(Share(source: last, weight: Float(min(min(end - Double(last), 1), cell) / cell)))
        }
        return shares
    }
}

/// Returns, for every pixel of the result, the two source pixels next to its centre and their weights.
private func linearShares(from source: Int, to target: Int, stopAtEdges: Bool) -> [Neighbours] {
    let scale = 1 / (Double(target) / Double(source))
    return (0..<target).map { number in
        let place = Float((Double(number) + 0.5) * scale - 0.5)
        var pixel = Int(place.rounded(.down))
        var part = place - Float(pixel)
        if stopAtEdges && (pixel < 0 || pixel >= source - 1) {
            pixel = pixel < 0 ? 0 : source - 1
            part = 0
        }
        return Neighbours(
            first: min(max(pixel, 0), source - 1),
            second: min(max(pixel + 1, 0), source - 1),
            firstWeight: Int(((1 - part) * 2048).rounded(.toNearestOrEven)),
            secondWeight: Int((part * 2048).rounded(.toNearestOrEven))
        )
    }
}

/// Returns the nearest integer from 0 to 255; halves are rounded to even.
func rounded(_ value: Float) -> UInt8 {
    UInt8(min(max(value.rounded(.toNearestOrEven), 0), 255))
}
