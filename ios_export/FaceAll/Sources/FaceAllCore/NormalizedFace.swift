import Foundation

/// A face as Apple's Vision describes it: in parts of the picture, from 0 to 1, y growing upwards from the lower edge.
public struct NormalizedFace: Equatable, Sendable {
    public var x: Double
    public var y: Double
    public var width: Double
    public var height: Double
    public var confidence: Double
    /// Points of both eyes, in any order of the two.
    public var eyes: [[NormalizedPoint]]
    public var nose: [NormalizedPoint]
    public var lips: [NormalizedPoint]

    public struct NormalizedPoint: Equatable, Sendable {
        public var x: Double
        public var y: Double

        public init(x: Double, y: Double) {
            self.x = x
            self.y = y
        }
    }

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

    /// The same in pixels of the upright picture, y growing downwards.
    ///
    /// Left and right are as the viewer sees them: the eye farther left is the left one. A face without both eyes, nose
    /// and lips gets its landmarks where most faces have them.
    public func face(inWidth pictureWidth: Int, height pictureHeight: Int) -> Face {
        let across = Double(pictureWidth), down = Double(pictureHeight)
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

    /// Five x and five y of an upright face, in parts of its box.
    private static let usual: [Float] = [0.3, 0.7, 0.5, 0.35, 0.65, 0.4, 0.4, 0.6, 0.8, 0.8]

    private static func centre(_ points: [NormalizedPoint]) -> NormalizedPoint? {
        guard !points.isEmpty else { return nil }
        let count = Double(points.count)
        return NormalizedPoint(
            x: points.reduce(0) { $0 + $1.x } / count, y: points.reduce(0) { $0 + $1.y } / count
        )
    }
}
