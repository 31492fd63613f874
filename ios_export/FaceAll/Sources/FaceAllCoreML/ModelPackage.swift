import FaceAllCore
import Foundation

/// The models of the package and their contract.
public struct ModelPackage: Sendable {
    public let folder: URL
    public let contract: ModelContract
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

    /// Returns the golden crops of the package, to check the embedder on a device.
    public func goldenCrops() throws -> GoldenCrops {
        let data = try Data(contentsOf: folder.appendingPathComponent("golden.json"))
        return try GoldenCrops(json: data)
    }
}
