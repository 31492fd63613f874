import Foundation

/// A picture: red, green and blue of every pixel, 0 to 255 in sRGB, row by row, upright.
public struct Pixels: Equatable, Sendable {
    public let width: Int
    public let height: Int
    /// height * width * 3 values.
    public var values: [UInt8]

    /// - Throws: `FaceAllError.badPicture` where the number of values does not fit.
    public init(width: Int, height: Int, values: [UInt8]) throws {
        guard width > 0, height > 0, values.count == width * height * 3 else {
            throw FaceAllError.badPicture(
                "\(values.count) values for \(width) x \(height) pixels, expected \(max(width * height, 0) * 3)"
            )
        }
        self.init(checkedWidth: width, height: height, values: values)
    }

    /// A picture of one gray.
    ///
    /// - Precondition: both sides are at least 1.
    public init(width: Int, height: Int, gray: UInt8 = 0) {
        precondition(width > 0 && height > 0, "a picture has at least one pixel")
        self.init(checkedWidth: width, height: height, values: [UInt8](repeating: gray, count: width * height * 3))
    }

    private init(checkedWidth width: Int, height: Int, values: [UInt8]) {
        self.width = width
        self.height = height
        self.values = values
    }

    /// Take the colours of 4 bytes per pixel, as pixel buffers of cameras have them; the fourth is left out.
    ///
    /// - Parameters:
    ///   - rowBytes: from the start of one row to that of the next
    ///   - order: where red, green and blue stand, 0 to 3: [2, 1, 0] for BGRA, [0, 1, 2] for RGBA
    /// - Throws: `FaceAllError.badPicture` where there are fewer bytes than that.
    public init(fourBytes bytes: UnsafeRawBufferPointer, width: Int, height: Int, rowBytes: Int, order: [Int]) throws {
        guard width > 0, height > 0, rowBytes >= width * 4, bytes.count >= (height - 1) * rowBytes + width * 4,
              order.count == 3, order.allSatisfy({ (0..<4).contains($0) })
        else {
            throw FaceAllError.badPicture("\(bytes.count) bytes do not hold \(width) x \(height) pixels of 4 bytes")
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

    /// The part from (left, top) up to but without (right, bottom), with so much black around it.
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

    /// Put another picture on this one, its first pixel at (left, top). It has to fit.
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
