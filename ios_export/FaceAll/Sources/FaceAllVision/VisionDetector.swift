#if canImport(Vision)
import CoreGraphics
import FaceAllCore
import Foundation
import Vision

/// Finds faces with Apple's Vision framework instead of MTCNN: faster, with slightly different boxes.
///
/// The crop rule of the embedder was measured with MTCNN's boxes. Use MTCNN for a gallery from a server; use Vision
/// only if people are enrolled and recognised on phones.
public struct VisionDetector: FaceFinding {
    private let makeImage: @Sendable (Pixels) throws -> CGImage

    /// Creates a detector.
    ///
    /// - Parameter makeImage: Converts an image to a `CGImage`, such as `ImageConverter.cgImage(of:)`.
    public init(makeImage: @escaping @Sendable (Pixels) throws -> CGImage) {
        self.makeImage = makeImage
    }

    /// Returns every face of an upright image by descending confidence, the larger first if it is equal.
    public func faces(in image: Pixels) async throws -> [Face] {
        let found = try observations(in: try makeImage(image))
        return found.map { $0.normalized.face(inWidth: image.width, height: image.height) }
            .sorted { ($0.score, $0.box.area) > ($1.score, $1.box.area) }
    }

    private func observations(in image: CGImage) throws -> [VNFaceObservation] {
        let request = VNDetectFaceLandmarksRequest()
        try VNImageRequestHandler(cgImage: image, orientation: .up, options: [:]).perform([request])
        return request.results ?? []
    }
}

extension VNFaceObservation {
    /// The face without Vision's types.
    var normalized: NormalizedFace {
        let box = boundingBox
        func points(_ region: VNFaceLandmarkRegion2D?) -> [NormalizedFace.NormalizedPoint] {
            (region?.normalizedPoints ?? []).map { point in // fractions of the box
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
