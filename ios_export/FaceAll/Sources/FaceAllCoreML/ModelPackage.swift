import FaceAllCore
import Foundation

/// The models of the package and their contract.
public struct ModelPackage: Sendable {
    /// The folder of contract.json and the models.
    public let folder: URL
    /// The contents of contract.json.
    public let contract: ModelContract
    /// The description of the embedder.
    public let manifest: Manifest

    /// Reads the contract of a package.
    ///
    /// - Parameter folder: The folder of contract.json and the models; the default is Models in this package.
    /// - Throws: `FaceAllError.badModel` if there are no models, `badManifest` or `newerFile` if the contract cannot
    ///   be read.
    public init(folder: URL? = nil) throws {
        guard let place = folder ?? Bundle.module.url(forResource: "Models", withExtension: nil),
              let data = try? Data(contentsOf: place.appendingPathComponent("contract.json"))
        else {
            throw FaceAllError.badModel(
                "the package has no models: create it with faceall convert MODEL --to ios -o DIR"
            )
        }
        self.folder = place
        contract = try ModelContract(json: data)
        manifest = try contract.embedderManifest()
    }

    /// Returns the location of a model of the package.
    ///
    /// - Throws: `FaceAllError.badModel` if it is missing.
    public func url(of part: ModelContract.Part) throws -> URL {
        let url = folder.appendingPathComponent(part.path)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw FaceAllError.badModel("\(part.path) is missing from the package: export it again")
        }
        return url
    }

    /// Returns the models for Core AI.
    ///
    /// - Throws: `FaceAllError.badModel` if the package has none.
    package func coreAIModels() throws -> ModelContract.CoreAIModels {
        guard let models = contract.coreAI else {
            throw FaceAllError.badModel(
                "the package has no models for Core AI: create it with faceall convert MODEL --to ios --core-ai -o DIR"
            )
        }
        return models
    }

    /// Returns the golden crops of the package, to check the embedder on a device.
    public func goldenCrops() throws -> GoldenCrops {
        let data = try Data(contentsOf: folder.appendingPathComponent("golden.json"))
        return try GoldenCrops(json: data)
    }
}
