#if canImport(CoreAI)
import CoreAI
import FaceAllCore
import FaceAllCoreML
import Foundation

/// MTCNN's three nets in Core AI, for use in a `Detector` on iOS 27 and later.
@available(iOS 27.0, macOS 27.0, *)
public struct CoreAIDetectorNets: MTCNNNets {
    private let proposal: CoreAIModel
    private let refinement: CoreAIModel
    private let output: CoreAIModel

    /// Loads the nets of a package. The first call specialises them for the device, which takes seconds.
    ///
    /// - Parameter package: The package with the nets.
    /// - Throws: `FaceAllError.badModel` if the package has no detector for Core AI, or a net cannot be loaded.
    public static func load(_ package: ModelPackage) async throws -> CoreAIDetectorNets {
        guard let parts = try package.coreAIModels().detector else {
            throw FaceAllError.badModel("the package has no MTCNN: use Vision, or export it again with a detector")
        }
        func net(_ name: String) async throws -> CoreAIModel {
            guard let part = parts[name] else { throw FaceAllError.badModel("the package has no \(name) net") }
            return try await CoreAIModel(part, at: try package.url(of: part))
        }
        return CoreAIDetectorNets(
            proposal: try await net("proposal"), refinement: try await net("refinement"),
            output: try await net("output")
        )
    }

    private init(proposal: CoreAIModel, refinement: CoreAIModel, output: CoreAIModel) {
        self.proposal = proposal
        self.refinement = refinement
        self.output = output
    }

    /// Runs the proposal net on a canvas of any size.
    public func propose(_ canvas: Pixels) async throws -> Proposals {
        let rows = (canvas.height - Pyramid.window) / Pyramid.stride + 1
        let columns = (canvas.width - Pyramid.window) / Pyramid.stride + 1
        return Proposals(rows: rows, columns: columns, values: try await run(proposal, canvas))
    }

    /// Runs the refinement net on crops of 24 x 24 pixels.
    public func refine(_ crops: [Pixels]) async throws -> [[Float]] {
        try await run(refinement, crops)
    }

    /// Runs the output net on crops of 48 x 48 pixels.
    public func finish(_ crops: [Pixels]) async throws -> [[Float]] {
        try await run(output, crops)
    }

    private func run(_ net: CoreAIModel, _ crops: [Pixels]) async throws -> [[Float]] {
        var answers: [[Float]] = []
        for crop in crops {
            answers.append(try await run(net, crop))
        }
        return answers
    }

    private func run(_ net: CoreAIModel, _ image: Pixels) async throws -> [Float] {
        try await net.run(NDArray(scalars: image.planes, shape: [1, 3, image.height, image.width]))
    }
}
#endif
