#if canImport(CoreML)
import CoreML
import FaceAllCore
import Foundation

/// Compiles Core ML models once and keeps the compiled copies, which are named after the checksum of the model.
///
/// Compilation takes seconds and blocks the thread; the `load` methods of the models run it off the main thread.
public struct CompiledModels: Sendable {
    private let folder: URL

    /// - Parameter folder: The folder of the compiled models; the default is FaceAll in the app's caches folder.
    public init(folder: URL? = nil) throws {
        let caches = try FileManager.default.url(
            for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        )
        self.folder = folder ?? caches.appendingPathComponent("FaceAll", isDirectory: true)
    }

    /// Returns the model at `url`, compiled and loaded.
    ///
    /// - Parameters:
    ///   - url: The model.
    ///   - sha256: The checksum of the model's files, from the contract.
    ///   - units: The processors that may run the model.
    /// - Throws: `FaceAllError.badModel` if Core ML cannot compile or load the model.
    public func model(at url: URL, sha256: String, units: MLComputeUnits) throws -> MLModel {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = units
        let compiled = folder.appendingPathComponent("\(sha256.prefix(32)).mlmodelc", isDirectory: true)
        if FileManager.default.fileExists(atPath: compiled.path) {
            if let model = try? MLModel(contentsOf: compiled, configuration: configuration) {
                return model
            }
            try FileManager.default.removeItem(at: compiled) // from an older system, or incomplete
        }
        do {
            try compile(url, to: compiled)
            return try MLModel(contentsOf: compiled, configuration: configuration)
        } catch {
            throw FaceAllError.badModel("\(url.lastPathComponent): \(error.localizedDescription)")
        }
    }

    private func compile(_ url: URL, to target: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let made = try MLModel.compileModel(at: url) // in a temporary folder
        if FileManager.default.fileExists(atPath: target.path) { // compiled by another task in the meantime
            try FileManager.default.removeItem(at: made)
        } else {
            try FileManager.default.moveItem(at: made, to: target)
        }
    }
}
#endif
