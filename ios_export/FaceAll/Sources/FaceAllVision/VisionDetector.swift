#if canImport(Vision)
import CoreGraphics
import FaceAllCore
import Foundation
import Vision

/// Faces as Apple's Vision finds them, instead of MTCNN: faster, with boxes that are drawn a little differently.
///
/// The embedder's crop rule was measured on MTCNN's boxes. For a gallery that comes from a server use MTCNN; with Vision
/// enrol and recognise on phones alone.
public struct VisionDetector: FaceFinding {
    private let image: @Sendable (Pixels) throws -> CGImage

    /// - Parameter image: makes a picture of the system's own, as `Pictures.image(of:)` does
    public init(image: @escaping @Sendable (Pixels) throws -> CGImage) {
        self.image = image
    }

    /// Every face of an upright picture, surest first, of equals the larger.
    public func faces(in picture: Pixels) async throws -> [Face] {
        let found = try observations(in: try image(picture))
        return found.map { $0.normalized.face(inWidth: picture.width, height: picture.height) }
            .sorted { ($0.score, $0.box.area) > ($1.score, $1.box.area) }
    }

    private func observations(in image: CGImage) throws -> [VNFaceObservation] {
        let request = VNDetectFaceLandmarksRequest()
        try VNImageRequestHandler(cgImage: image, orientation: .up, options: [:]).perform([request])
        return request.results ?? []
    }
}

extension VNFaceObservation {
    /// The same without Vision's types.
    var normalized: NormalizedFace {
        let box = boundingBox
        func points(_ region: VNFaceLandmarkRegion2D?) -> [NormalizedFace.NormalizedPoint] {
            (region?.normalizedPoints ?? []).map { point in // in parts of the box
                NormalizedFace.NormalizedPoint(
                    x: Double(box.origin.x + point.x * box.size.width),
                    y: Double(box.origin.y + point.y * box.size.height)
                )
            }
        }
        return NormalizedFace(
            x: Double(box.origin.x), y: Double(box.origin.y),
            width: Double(box.size.width), height: Double(box.size.height), confidence: Double(confidence),
            eyes: [points(landmarks?.leftEye), points(landmarks?.rightEye)],
            nose: points(landmarks?.nose), lips: points(landmarks?.outerLips)
        )
    }
}
#endif
