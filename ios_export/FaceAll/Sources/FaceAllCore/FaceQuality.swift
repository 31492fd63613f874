import Foundation

/// What makes a face hard to recognise, with the measures and limits of the server.
public struct FaceQuality: Equatable, Sendable {
    /// A remark on a face.
    public enum Note: String, Equatable, Sendable, Codable, CaseIterable {
        /// The face has few pixels.
        case small
        /// The face is blurred.
        case blurred
        /// The face looks to the side.
        case turnedAway = "turned-away"
        /// The face is cut off by the edge of the image.
        case cutOff = "cut-off"
    }

    /// The mean of a box's width and height, in pixels, below which a face is small.
    public static let minSize = 24.0
    /// The sharpness below which a face is blurred.
    public static let minSharpness = 0.12
    /// The turn above which a face is turned away.
    public static let maxTurn = 0.45
    /// The cut above which a face is cut off.
    public static let maxCut = 0.1

    private static let side = 80
    private static let rim = 2 // pixels at the edge, where the Laplacian is incomplete

    /// The mean of the box's width and height, in pixels.
    public let size: Double
    /// The standard deviation of the Laplacian relative to that of the gray values, at 80 x 80 pixels.
    public let sharpness: Double
    /// The offset of the nose from the middle of the eyes along their line, in eye distances; 0 for a frontal face.
    public let turn: Double
    /// The largest part of a side of the box beyond an edge of the image.
    public let cut: Double
    /// The detector's probability of a face.
    public let detection: Double

    /// Creates a quality from its measurements.
    public init(size: Double, sharpness: Double, turn: Double, cut: Double, detection: Double) {
        self.size = size
        self.sharpness = sharpness
        self.turn = turn
        self.cut = cut
        self.detection = detection
    }

    /// Measures a face of an image.
    ///
    /// - Throws: `FaceAllError.badImage` if the box is empty or far outside the image.
    public init(_ face: Face, in image: Pixels) throws {
        let box = face.box
        let (x0, y0, x1, y1) = (Double(box.x0), Double(box.y0), Double(box.x1), Double(box.y1))
        let across = max(x1 - x0, 1), down = max(y1 - y0, 1)
        let beyond = [
            -x0 / across, (x1 - Double(image.width)) / across, -y0 / down, (y1 - Double(image.height)) / down,
        ]
        let crop = try image.cropped(
            Region(x0: x0, y0: y0, x1: x1, y1: y1), width: FaceQuality.side, height: FaceQuality.side
        )
        self.init(
            size: Double((box.x1 - box.x0) + box.y1 - box.y0) / 2, sharpness: FaceQuality.sharpness(of: crop),
            turn: FaceQuality.turn(of: face), cut: max(0, beyond.max() ?? 0), detection: Double(face.score)
        )
    }

    /// The remarks; empty for a good face.
    public var notes: [Note] {
        let isSmall = size < FaceQuality.minSize
        let found: [(Note, Bool)] = [
            (.small, isSmall),
            (.blurred, !isSmall && sharpness < FaceQuality.minSharpness), // small faces always are
            (.turnedAway, abs(turn) > FaceQuality.maxTurn),
            (.cutOff, cut > FaceQuality.maxCut),
        ]
        return found.filter(\.1).map(\.0)
    }

    /// A value from 0 to 1 that orders frames of one person; 1 is a large, sharp, frontal face.
    ///
    /// It is the product of the detector's probability and of how far each measure lies between its limit and a good
    /// value: 112 pixels, a sharpness of 0.34 (the median on LFW), no turn, nothing cut off.
    public var score: Double {
        let parts = [
            detection, (size - FaceQuality.minSize / 2) / (112 - FaceQuality.minSize / 2), sharpness / 0.34,
            1 - abs(turn) / (2 * FaceQuality.maxTurn), 1 - cut / (2 * FaceQuality.maxCut),
        ]
        return parts.reduce(1) { $0 * min(max($1, 0), 1) }
    }

    /// Returns the turn of a face; 1 if both eyes are at one point.
    static func turn(of face: Face) -> Double {
        let left = face.landmarks[0], right = face.landmarks[1], nose = face.landmarks[2]
        let (leftX, leftY) = (Double(left.x), Double(left.y)), (rightX, rightY) = (Double(right.x), Double(right.y))
        let across = rightX - leftX, down = rightY - leftY
        let squared = across * across + down * down
        let offset = (Double(nose.x) - (leftX + rightX) / 2) * across + (Double(nose.y) - (leftY + rightY) / 2) * down
        return squared > 0 ? offset / squared : 1
    }

    private static func sharpness(of crop: Pixels) -> Double {
        let gray = grays(of: crop)
        var edges: [Double] = []
        for row in rim..<(side - rim) {
            for column in rim..<(side - rim) {
                let place = row * side + column
                edges.append(gray[place - side] + gray[place + side] + gray[place - 1] + gray[place + 1] - 4 * gray[place])
            }
        }
        return deviation(edges) / max(deviation(gray), 1)
    }

    /// Returns gray values with the weights and the rounding of OpenCV.
    private static func grays(of image: Pixels) -> [Double] {
        (0..<(image.width * image.height)).map { place in
            let red = Int(image.values[place * 3]), green = Int(image.values[place * 3 + 1])
            let blue = Int(image.values[place * 3 + 2])
            return Double((red * 9798 + green * 19235 + blue * 3735 + 16384) >> 15)
        }
    }

    private static func deviation(_ values: [Double]) -> Double {
        let mean = values.reduce(0, +) / Double(values.count)
        return sqrt(values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count))
    }
}
