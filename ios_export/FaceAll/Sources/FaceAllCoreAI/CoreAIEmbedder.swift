#if canImport(CoreAI)
import CoreAI
import FaceAllCore
import FaceAllCoreML
import Foundation

/// The embedder in Core AI, for iOS 27 and later.
///
/// Inputs are crops in sRGB; the model includes the standardisation and returns unit vectors.
@available(iOS 27.0, macOS 27.0, *)
public struct CoreAIEmbedder: FaceEmbedding {
    /// The description of the embedder, with its crop rule or alignment.
    public let manifest: Manifest
    private let model: CoreAIModel

    /// Loads the embedder of a package. The first call specialises it for the device, which takes seconds.
    ///
    /// - Parameter package: The package with the embedder.
    /// - Throws: `FaceAllError.badModel` if the package has no model for Core AI, or it cannot be loaded.
    public static func load(_ package: ModelPackage) async throws -> CoreAIEmbedder {
        let part = try package.coreAIModels().embedder
        let model = try await CoreAIModel(part, at: try package.url(of: part))
        return CoreAIEmbedder(manifest: package.manifest, model: model)
    }

    private init(manifest: Manifest, model: CoreAIModel) {
        self.manifest = manifest
        self.model = model
    }

    /// Returns one unit vector for each crop.
    ///
    /// - Throws: `FaceAllError.badImage` if a crop has another size, `badModel` if the output has another dimension.
    public func embed(crops: [Pixels]) async throws -> [[Float]] {
        try manifest.checkSize(of: crops)
        var vectors: [[Float]] = []
        for crop in crops {
            let input = NDArray(scalars: crop.values, shape: [1, crop.height, crop.width, 3])
            let vector = try await model.run(input)
            try manifest.checkSize(of: vector)
            vectors.append(vector)
        }
        return vectors
    }
}
#endif
