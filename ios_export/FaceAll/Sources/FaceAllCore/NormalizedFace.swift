import Foundation

/// A face in the coordinates of Apple's Vision framework.
///
/// Coordinates are fractions of the image's sides, from 0 to 1; y increases upwards from the lower edge.
public struct NormalizedFace: Equatable, Sendable {
    /// The distance from the left edge, as a fraction of the width.
    public var x: Double
    /// The distance from the lower edge, as a fraction of the height.
    public var y: Double
    /// The width as a fraction.
    public var width: Double
    /// The height as a fraction.
    public var height: Double
    /// The confidence of the detection, 0 to 1.
    public var confidence: Double
    /// The points of each eye; the order of the eyes does not matter.
    public var eyes: [[NormalizedPoint]]
    /// The points of the nose.
    public var nose: [NormalizedPoint]
    /// The points of the outer lips.
    public var lips: [NormalizedPoint]

    /// A point in fractions of the image, from its lower left corner.
    public struct NormalizedPoint: Equatable, Sendable {
        /// The distance from the left edge, as a fraction of the width.
        public var x: Double
        /// The distance from the lower edge, as a fraction of the height.
        public var y: Double

        /// Creates a point.
        public init(x: Double, y: Double) {
            self.x = x
            self.y = y
        }
    }

    /// Creates a face.
    public init(
        x: Double, y: Double, width: Double, height: Double, confidence: Double,
        eyes: [[NormalizedPoint]], nose: [NormalizedPoint], lips: [NormalizedPoint]
    ) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
        self.confidence = confidence
        self.eyes = eyes
        self.nose = nose
        self.lips = lips
    }

    /// Returns the face in pixels of the upright image; y increases downwards.
    ///
    /// Left and right are those of the viewer. If an eye, the nose or the lips are missing, the landmarks have typical
    /// positions in the box.
    public func face(inWidth imageWidth: Int, height imageHeight: Int) -> Face {
        let across = Double(imageWidth), down = Double(imageHeight)
        let box = Box(
            x0: Float(x * across), y0: Float((1 - y - height) * down),
            x1: Float((x + width) * across), y1: Float((1 - y) * down)
        )
        func pixel(_ point: NormalizedPoint) -> Point {
            Point(x: Float(point.x * across), y: Float((1 - point.y) * down))
        }
        let centres = eyes.compactMap(NormalizedFace.centre).sorted { $0.x < $1.x }
        let corners = lips.sorted { $0.x < $1.x }
        guard centres.count == 2, let middle = NormalizedFace.centre(nose), let left = corners.first,
              let right = corners.last, corners.count > 1
        else {
            return Face(box: box, score: Float(confidence), landmarks: box.placed(NormalizedFace.usual))
        }
        let points = [centres[0], centres[1], middle, left, right].map(pixel)
        return Face(box: box, score: Float(confidence), landmarks: points)
    }

    /// Typical landmarks of an upright face: five x and then five y, as fractions of its box.
    private static let usual: [Float] = [0.3, 0.7, 0.5, 0.35, 0.65, 0.4, 0.4, 0.6, 0.8, 0.8]

    private static func centre(_ points: [NormalizedPoint]) -> NormalizedPoint? {
        guard !points.isEmpty else { return nil }
        let count = Double(points.count)
        return NormalizedPoint(
            x: points.reduce(0) { $0 + $1.x } / count, y: points.reduce(0) { $0 + $1.y } / count
        )
    }
}
