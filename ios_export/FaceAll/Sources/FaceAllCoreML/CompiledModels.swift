#if canImport(CoreML)
import CoreML
import FaceAllCore
import Foundation

/// Compiles models once and keeps what comes out, named after the checksum of what went in.
///
/// Compiling takes seconds and blocks: the models' own `load` does it off the main thread.
public struct CompiledModels: Sendable {
    private let folder: URL

    /// - Parameter folder: where compiled models are kept; nil: FaceAll in the app's caches
    public init(folder: URL? = nil) throws {
        let caches = try FileManager.default.url(
            for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        )
        self.folder = folder ?? caches.appendingPathComponent("FaceAll", isDirectory: true)
    }

    /// The model at `url`, ready to run.
    ///
    /// - Parameters:
    ///   - sha256: of the model's files, from the contract
    ///   - units: which processors may run it
    /// - Throws: `FaceAllError.badModel` where Core ML cannot compile or load it.
    public func model(at url: URL, sha256: String, units: MLComputeUnits) throws -> MLModel {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = units
        let compiled = folder.appendingPathComponent("\(sha256.prefix(32)).mlmodelc", isDirectory: true)
        if FileManager.default.fileExists(atPath: compiled.path) {
            if let model = try? MLModel(contentsOf: compiled, configuration: configuration) {
                return model
            }
            try FileManager.default.removeItem(at: compiled) // of an older system, or cut short
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
        if FileManager.default.fileExists(atPath: target.path) { // another task was faster
            try FileManager.default.removeItem(at: made)
        } else {
            try FileManager.default.moveItem(at: made, to: target)
        }
    }
}
#endif
