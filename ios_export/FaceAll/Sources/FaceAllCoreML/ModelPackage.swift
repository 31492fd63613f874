import FaceAllCore
import Foundation

/// The models that travel in the package, and what is promised of them.
public struct ModelPackage: Sendable {
    public let folder: URL
    public let contract: ModelContract
    public let manifest: Manifest

    /// - Parameter folder: holds contract.json and the models; nil: the one in this package
    /// - Throws: `FaceAllError.badModel` where it holds none, `badManifest` or `newerFile` where it cannot be read.
    public init(folder: URL? = nil) throws {
        guard let place = folder ?? Bundle.module.url(forResource: "Models", withExtension: nil),
              let data = try? Data(contentsOf: place.appendingPathComponent("contract.json"))
        else {
            throw FaceAllError.badModel(
                "the package holds no models yet: make it with faceall convert MODEL --to ios -o DIR"
            )
        }
        self.folder = place
        contract = try ModelContract(json: data)
        manifest = try contract.embedderManifest()
    }

    /// Where a model of the package lies.
    ///
    /// - Throws: `FaceAllError.badModel` where it is absent.
    public func url(of part: ModelContract.Part) throws -> URL {
        let url = folder.appendingPathComponent(part.path)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw FaceAllError.badModel("\(part.path) is absent from the package: make it again")
        }
        return url
    }

    /// Crops and the vectors that the server's float32 model gives for them.
    public func goldenCrops() throws -> GoldenCrops {
        let data = try Data(contentsOf: folder.appendingPathComponent("golden.json"))
        return try GoldenCrops(json: data)
    }
}
