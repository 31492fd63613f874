import Foundation

/// A point of an image, in pixels; x increases to the right, y downwards.
public struct Point: Equatable, Sendable, Codable {
    /// The distance from the left edge of the image.
    public var x: Float
    /// The distance from the upper edge of the image.
    public var y: Float

    /// Creates a point, in pixels.
    public init(x: Float, y: Float) {
        self.x = x
        self.y = y
    }
}

/// A box in pixels; x1 and y1 are exclusive, so the width is x1 - x0.
public struct Box: Equatable, Sendable, Codable {
    /// The left edge.
    public var x0: Float
    /// The upper edge.
    public var y0: Float
    /// The right edge.
    public var x1: Float
    /// The lower edge.
    public var y1: Float

    /// Creates a box from its edges, in pixels.
    public init(x0: Float, y0: Float, x1: Float, y1: Float) {
        self.x0 = x0
        self.y0 = y0
        self.x1 = x1
        self.y1 = y1
    }

    /// The width in pixels.
    public var width: Float { x1 - x0 }
    /// The height in pixels.
    public var height: Float { y1 - y0 }

    /// The area; 0 if x1 < x0 or y1 < y0.
    public var area: Float { max(width, 0) * max(height, 0) }

    /// The square with the same centre and the longer side of the box.
    public var square: Box {
        let centreX = (x0 + x1) / 2
        let centreY = (y0 + y1) / 2
        let half = max(width, height) / 2
        return Box(x0: centreX - half, y0: centreY - half, x1: centreX + half, y1: centreY + half)
    }

    /// Returns the box with its edges moved by offsets.
    ///
    /// - Parameter offsets: The offsets of x0, y0, x1 and y1, as fractions of the box's width and height.
    public func moved(by offsets: [Float]) -> Box {
        Box(
            x0: x0 + offsets[0] * width,
            y0: y0 + offsets[1] * height,
            x1: x1 + offsets[2] * width,
            y1: y1 + offsets[3] * height
        )
    }

    /// Returns landmarks in pixels from landmarks relative to the box.
    ///
    /// - Parameter points: Five x and then five y, from 0 to 1 across the box.
    public func placed(_ points: [Float]) -> [Point] {
        (0..<5).map { Point(x: x0 + width * points[$0], y: y0 + height * points[5 + $0]) }
    }

    /// Returns whether the box is finite, at least one pixel wide and high, and overlaps an image of the given size.
    public func isUsable(width imageWidth: Int, height imageHeight: Int) -> Bool {
        let inside = x0 < Float(imageWidth) && y0 < Float(imageHeight) && x1 > 0 && y1 > 0
        let finite = x0.isFinite && y0.isFinite && x1.isFinite && y1.isFinite
        return finite && inside && width >= 1 && height >= 1
    }
}

/// One detected face.
public struct Face: Equatable, Sendable, Codable {
    /// The box, in pixels of the upright image.
    public var box: Box
    /// The probability of a face, 0 to 1.
    public var score: Float
    /// Left eye, right eye, nose, left and right corner of the mouth, as the viewer sees them.
    public var landmarks: [Point]

    /// Creates a face.
    public init(box: Box, score: Float, landmarks: [Point]) {
        self.box = box
        self.score = score
        self.landmarks = landmarks
    }
}
