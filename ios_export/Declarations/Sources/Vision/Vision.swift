@_exported import CoreGraphics
import ImageIO

public struct VNImageOption: Hashable {}

public class VNFaceLandmarkRegion2D {
    public var normalizedPoints: [CGPoint] { [] }
}

public class VNFaceLandmarks2D {
    public var leftEye, rightEye, nose, outerLips: VNFaceLandmarkRegion2D?
}

public class VNFaceObservation {
    public var boundingBox: CGRect { .zero }
    public var confidence: Float { 0 }
    public var landmarks: VNFaceLandmarks2D? { nil }
}

public class VNRequest {
    public init() {}
}

public class VNDetectFaceLandmarksRequest: VNRequest {
    public var results: [VNFaceObservation]? { nil }
}

public class VNImageRequestHandler {
    public init(cgImage: CGImage, orientation: CGImagePropertyOrientation, options: [VNImageOption: Any] = [:]) {}
    public func perform(_ requests: [VNRequest]) throws {}
}
