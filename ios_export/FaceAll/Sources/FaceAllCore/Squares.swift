import Foundation

/// Cuts squares out of an image and scales them to one size.
enum Squares {
    /// The largest distance of two samples, in pixels; beyond it, a halved image is sampled.
    static let coarse = 8
    /// The gray value outside the image, close to 0 after standardisation.
    static let outside: UInt8 = 127
    /// The longest side that is sampled, as on the server; larger images are halved first.
    static let longest = 32000

    /// Returns the image and its halvings, down to 12 pixels.
    static func halvings(_ image: Pixels) -> [Pixels] {
        var found = [image]
        while let last = found.last, min(last.width, last.height) >= 24 || max(last.width, last.height) > longest {
            found.append(last.averaged(width: (last.width + 1) / 2, height: (last.height + 1) / 2))
        }
        return found
    }

    /// Returns a crop of every box; pixels outside the image are gray.
    ///
    /// - Parameters:
    ///   - boxes: Squares, in pixels of the first image.
    ///   - images: The image and its halvings.
    ///   - size: The side of the crops, in pixels.
    static func cut(_ boxes: [Box], from images: [Pixels], size: Int) -> [Pixels] {
        boxes.map { sample($0, from: images[halving(images, side: $0.width, size: size)], of: images[0], size) }
    }

    /// Returns the index of the halving to sample for a box with the given side.
    private static func halving(_ images: [Pixels], side: Float, size: Int) -> Int {
        let least = images.firstIndex { max($0.width, $0.height) <= longest } ?? 0
        let steps = Int(log2(max(side / Float(size * coarse), 1)).rounded(.up))
        return min(max(steps, least), images.count - 1)
    }

    /// Returns `size` x `size` samples of a box, which is in pixels of `whole`.
    private static func sample(_ box: Box, from image: Pixels, of whole: Pixels, _ size: Int) -> Pixels {
        let columns = places(box.x0, box.width, image.width, whole.width, size)
        let rows = places(box.y0, box.height, image.height, whole.height, size)
        return image.sampled(columns, rows, outside: outside)
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
