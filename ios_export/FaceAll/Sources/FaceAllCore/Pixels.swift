import Foundation

/// An upright RGB image in sRGB: three values from 0 to 255 for each pixel, row by row.
public struct Pixels: Equatable, Sendable {
    /// The width in pixels.
    public let width: Int
    /// The height in pixels.
    public let height: Int
    /// The red, green and blue values, height * width * 3.
    public var values: [UInt8]

    /// Creates an image from its values.
    ///
    /// - Throws: `FaceAllError.badImage` if the number of values is not height * width * 3.
    public init(width: Int, height: Int, values: [UInt8]) throws {
        guard width > 0, height > 0, values.count == width * height * 3 else {
            throw FaceAllError.badImage(
                "\(values.count) values for \(width) x \(height) pixels, expected \(max(width * height, 0) * 3)"
            )
        }
        self.init(checkedWidth: width, height: height, values: values)
    }

    /// Creates an image of one gray value.
    ///
    /// - Precondition: Both sides are at least 1.
    public init(width: Int, height: Int, gray: UInt8 = 0) {
        precondition(width > 0 && height > 0, "an image has at least one pixel")
        self.init(checkedWidth: width, height: height, values: [UInt8](repeating: gray, count: width * height * 3))
    }

    private init(checkedWidth width: Int, height: Int, values: [UInt8]) {
        self.width = width
        self.height = height
        self.values = values
    }

    /// Creates an image from 4 bytes per pixel, such as a camera's pixel buffer; the fourth byte is ignored.
    ///
    /// - Parameters:
    ///   - bytes: The pixels, row by row.
    ///   - width: The width of the image, in pixels.
    ///   - height: The height of the image, in pixels.
    ///   - rowBytes: The number of bytes from the start of one row to the start of the next.
    ///   - order: The positions of red, green and blue, 0 to 3: [2, 1, 0] for BGRA, [0, 1, 2] for RGBA.
    /// - Throws: `FaceAllError.badImage` if there are too few bytes or the order is not valid.
    public init(fourBytes bytes: UnsafeRawBufferPointer, width: Int, height: Int, rowBytes: Int, order: [Int]) throws {
        guard width > 0, height > 0, rowBytes >= width * 4, bytes.count >= (height - 1) * rowBytes + width * 4,
              order.count == 3, order.allSatisfy({ (0..<4).contains($0) })
        else {
            throw FaceAllError.badImage("\(bytes.count) bytes do not hold \(width) x \(height) pixels of 4 bytes")
        }
        let red = order[0], green = order[1], blue = order[2]
        var colours = [UInt8](repeating: 0, count: width * height * 3)
        colours.withUnsafeMutableBufferPointer { target in
            var to = 0
            for row in 0..<height {
                var from = row * rowBytes
                for _ in 0..<width {
                    target[to] = bytes[from + red]
                    target[to + 1] = bytes[from + green]
                    target[to + 2] = bytes[from + blue]
                    from += 4
                    to += 3
                }
            }
        }
        self.init(checkedWidth: width, height: height, values: colours)
    }

    /// Returns the part from (left, top) to (right, bottom), exclusive, with a black border of the given widths.
    func part(
        left: Int, top: Int, right: Int, bottom: Int,
        above: Int = 0, below: Int = 0, before: Int = 0, after: Int = 0
    ) -> Pixels {
        let partWidth = right - left
        var result = Pixels(width: partWidth + before + after, height: bottom - top + above + below)
        for row in top..<bottom {
            let source = (row * width + left) * 3
            let target = ((row - top + above) * result.width + before) * 3
            result.values.replaceSubrange(
                target..<(target + partWidth * 3), with: values[source..<(source + partWidth * 3)]
            )
        }
        return result
    }

    /// Copies another image onto this one at (left, top).
    ///
    /// - Precondition: The other image lies inside this one.
    mutating func put(_ other: Pixels, left: Int, top: Int) {
        for row in 0..<other.height {
            let source = row * other.width * 3
            let target = ((row + top) * width + left) * 3
            values.replaceSubrange(
                target..<(target + other.width * 3), with: other.values[source..<(source + other.width * 3)]
            )
        }
    }
}

extension Pixels {
    /// The red, green and blue planes one after the other, 0 to 255, as nets without images take them.
    package var planes: [Float] {
        let size = width * height
        return [Float](unsafeUninitializedCapacity: size * 3) { target, count in
            for colour in 0..<3 {
                for pixel in 0..<size {
                    target[colour * size + pixel] = Float(values[pixel * 3 + colour])
                }
            }
            count = size * 3
        }
    }
}
