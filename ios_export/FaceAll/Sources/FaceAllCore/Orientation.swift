import Foundation

extension Pixels {
    /// Returns the upright image from an image with an EXIF orientation.
    ///
    /// - Parameter exif: The orientation, 1 (upright) to 8. Phones held in portrait orientation write 6.
    /// - Throws: `FaceAllError.badImage` if the orientation is another number.
    public func upright(exif: Int) throws -> Pixels {
        switch exif {
        case 1: return self
        case 2: return mirrored
        case 3: return mirrored.flipped
        case 4: return flipped
        case 5: return transposed
        case 6: return transposed.mirrored
        case 7: return transposed.mirrored.flipped
        case 8: return transposed.flipped
        default: throw FaceAllError.badImage("the orientation is \(exif), expected 1 to 8")
        }
    }

    /// The image with left and right exchanged.
    public var mirrored: Pixels { rearranged(width, height) { row, column in (row, width - 1 - column) } }

    private var flipped: Pixels { rearranged(width, height) { row, column in (height - 1 - row, column) } }

    private var transposed: Pixels { rearranged(height, width) { row, column in (column, row) } }

    /// Returns an image whose pixel at (row, column) is this image's pixel at `source(row, column)`.
    private func rearranged(_ newWidth: Int, _ newHeight: Int, _ source: (Int, Int) -> (Int, Int)) -> Pixels {
        var result = Pixels(width: newWidth, height: newHeight)
        var place = 0
        for row in 0..<newHeight {
            for column in 0..<newWidth {
                let (y, x) = source(row, column)
                let from = (y * width + x) * 3
                result.values[place] = values[from]
                result.values[place + 1] = values[from + 1]
                result.values[place + 2] = values[from + 2]
                place += 3
            }
        }
        return result
    }
}
