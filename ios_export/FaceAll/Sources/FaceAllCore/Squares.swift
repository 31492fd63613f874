import Foundation

/// Cutting squares out of a picture, all of one size.
enum Squares {
    /// More pixels than this between two samples, and a halved picture is sampled instead.
    static let coarse = 8
    /// A middle gray: nothing, as the nets see it.
    static let outside: UInt8 = 127
    /// Sides beyond this are halved first, as the server does it.
    static let longest = 32000

    /// The picture and its halvings, down to 12 pixels.
    static func halvings(_ picture: Pixels) -> [Pixels] {
        var found = [picture]
        while let last = found.last, min(last.width, last.height) >= 24 || max(last.width, last.height) > longest {
            found.append(last.averaged(width: (last.width + 1) / 2, height: (last.height + 1) / 2))
        }
        return found
    }

    /// Cut every box out and scale it; what lies outside the picture is gray.
    ///
    /// - Parameters:
    ///   - pictures: the picture and its halvings
    ///   - boxes: squares in pixels of the first of the pictures
    static func cut(_ boxes: [Box], from pictures: [Pixels], size: Int) -> [Pixels] {
        boxes.map { sample($0, from: pictures[halving(pictures, side: $0.width, size: size)], of: pictures[0], size) }
    }

    /// The number of the halving to sample for a box of this side.
    private static func halving(_ pictures: [Pixels], side: Float, size: Int) -> Int {
        let least = pictures.firstIndex { max($0.width, $0.height) <= longest } ?? 0
        let steps = Int(log2(max(side / Float(size * coarse), 1)).rounded(.up))
        return min(max(steps, least), pictures.count - 1)
    }

    /// `size` x `size` samples of a box that counts in pixels of `whole`.
    private static func sample(_ box: Box, from picture: Pixels, of whole: Pixels, _ size: Int) -> Pixels {
        let columns = places(box.x0, box.width, picture.width, whole.width, size)
        let rows = places(box.y0, box.height, picture.height, whole.height, size)
        return picture.sampled(columns, rows, outside: outside)
    }

    private static func places(_ start: Float, _ side: Float, _ pixels: Int, _ whole: Int, _ size: Int) -> [Float] {
        let ratio = Float(Double(pixels - 1) / Double(whole))
        let step = 1 / Double(size - 1)
        return (0..<size).map { number in
            let along = number == size - 1 ? 1 : Float(Double(number) * step)
            return (start + side * along) * ratio
        }
    }
}
