import Foundation

extension Pixels {
    /// The upright picture from one that lies as EXIF's orientation says.
    ///
    /// - Parameter exif: 1 (upright) to 8; cameras of phones held upright give 6
    /// - Throws: `FaceAllError.badPicture` for another number
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
        default: throw FaceAllError.badPicture("the orientation is \(exif), expected 1 to 8")
        }
    }

    /// Left and right exchanged.
    public var mirrored: Pixels { rearranged(width, height) { row, column in (row, width - 1 - column) } }

    private var flipped: Pixels { rearranged(width, height) { row, column in (height - 1 - row, column) } }

    private var transposed: Pixels { rearranged(height, width) { row, column in (column, row) } }

    /// A picture whose pixel at (row, column) is this one's at `source(row, column)`.
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
