#if canImport(CoreML)
import CoreML
import FaceAllCore
import FaceAllCoreML
import Foundation

/// The models of a package, loaded by the newest runtime that this device has.
///
/// Core AI (iOS 27 and later) is used if the package has models for it and they reproduce the package's golden vectors
/// on this device; otherwise Core ML.
public struct PackageModels: Sendable {
    /// A runtime of Apple's systems.
    public enum Runtime: String, Sendable {
        /// Core AI, `.aimodel` files.
        case coreAI
        /// Core ML, `.mlpackage` files.
        case coreML
    }

    /// The embedder.
    public let embedder: any FaceEmbedding
    /// MTCNN's nets, or `nil` if the package has none.
    public let nets: (any MTCNNNets)?
    /// The runtime that runs the models.
    public let runtime: Runtime
    /// Why Core AI is not used although the package has models for it, as one line; `nil` otherwise.
    public let reason: String?

    /// Returns a detector with the package's nets.
    ///
    /// - Parameter minFace: The side of the smallest face to find, in pixels.
    /// - Throws: `FaceAllError.badModel` if the package has no nets.
    public func finder(minFace: Double) throws -> any FaceFinding {
        guard let nets else {
            throw FaceAllError.badModel("the package has no MTCNN: use Vision, or export it again with a detector")
        }
        func detector(_ nets: some MTCNNNets) throws -> any FaceFinding {
            try Detector(nets: nets, minFace: minFace)
        }
        return try detector(nets)
    }

    /// Loads the models of a package and checks the embedder with the package's golden crops.
    ///
    /// - Parameters:
    ///   - package: The package.
    ///   - compiled: The compiled copies of the Core ML models.
    ///   - allowed: The runtimes that may be used.
    /// - Throws: `FaceAllError.badModel` if no runtime can load the models, or the embedder does not reproduce the
    ///   golden vectors.
    public static func load(
        _ package: ModelPackage, compiled: CompiledModels, allowed: Set<Runtime> = [.coreAI, .coreML]
    ) async throws -> PackageModels {
        var reason: String?
        if allowed.contains(.coreAI), package.contract.coreAI != nil {
            do {
                return try await loadCoreAI(package)
            } catch {
                reason = error.localizedDescription
            }
        }
        guard allowed.contains(.coreML) else {
            throw FaceAllError.badModel(reason ?? "the package has no models for Core AI")
        }
        let embedder = try await CoreMLEmbedder.load(package, compiled: compiled)
        try await package.goldenCrops().check(embedder)
        var nets: (any MTCNNNets)?
        if package.contract.detector != nil {
            nets = try await CoreMLDetectorNets.load(package, compiled: compiled)
        }
        return PackageModels(embedder: embedder, nets: nets, runtime: .coreML, reason: reason)
    }

    private static func loadCoreAI(_ package: ModelPackage) async throws -> PackageModels {
        #if canImport(CoreAI)
        if #available(iOS 27.0, macOS 27.0, *) {
            let embedder = try await CoreAIEmbedder.load(package)
            try await package.goldenCrops().check(embedder)
            var nets: (any MTCNNNets)?
            if package.contract.coreAI?.detector != nil {
                nets = try await CoreAIDetectorNets.load(package)
            }
            return PackageModels(embedder: embedder, nets: nets, runtime: .coreAI, reason: nil)
        }
        #endif
        throw FaceAllError.badModel("this system has no Core AI: it needs iOS 27 or later")
    }
}
#endif
