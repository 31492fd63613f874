#if canImport(CoreML)
import CoreML
import FaceAllCore
import Foundation

/// MTCNN's three nets in Core ML, for use in a `Detector`.
public actor CoreMLDetectorNets: MTCNNNets {
    /// The longest side of a canvas that the proposal net accepts.
    public static let longestSide = 4096

    private struct Net {
        let part: ModelContract.Part
        let model: MLModel
    }

    private let proposal: Net
    private let refinement: Net
    private let output: Net

    /// Loads the nets of a package. The first call compiles them, which takes seconds.
    ///
    /// - Parameters:
    ///   - package: The package with the nets.
    ///   - compiled: The compiled copies.
    ///   - units: The processors that may run the nets.
    /// - Throws: `FaceAllError.badModel` if the package has no detector or Core ML cannot load a net.
    public static func load(
        _ package: ModelPackage, compiled: CompiledModels, units: MLComputeUnits = .all
    ) async throws -> CoreMLDetectorNets {
        try CoreMLDetectorNets(package, compiled, units)
    }

    private init(_ package: ModelPackage, _ compiled: CompiledModels, _ units: MLComputeUnits) throws {
        guard let parts = package.contract.detector else {
            throw FaceAllError.badModel("the package has no MTCNN: use Vision, or export it again with a detector")
        }
        func net(_ name: String) throws -> Net {
            guard let part = parts[name] else { throw FaceAllError.badModel("the package has no \(name) net") }
            let url = try package.url(of: part)
            return Net(part: part, model: try compiled.model(at: url, sha256: part.sha256, units: units))
        }
        proposal = try net("proposal")
        refinement = try net("refinement")
        output = try net("output")
    }

    /// Runs the proposal net on a canvas.
    public func propose(_ canvas: Pixels) async throws -> Proposals {
        guard max(canvas.width, canvas.height) <= Self.longestSide else {
            throw FaceAllError.badImage(
                "the image needs a canvas of \(canvas.width) x \(canvas.height) pixels,"
                    + " expected at most \(Self.longestSide): increase minFace or reduce the image"
            )
        }
        let values = try run(proposal, [canvas])[0]
        let rows = (canvas.height - Pyramid.window) / Pyramid.stride + 1
        let columns = (canvas.width - Pyramid.window) / Pyramid.stride + 1
        return Proposals(rows: rows, columns: columns, values: values)
    }

    /// Runs the refinement net on crops of 24 x 24 pixels.
    public func refine(_ crops: [Pixels]) async throws -> [[Float]] {
        try run(refinement, crops)
    }

    /// Runs the output net on crops of 48 x 48 pixels.
    public func finish(_ crops: [Pixels]) async throws -> [[Float]] {
        try run(output, crops)
    }

    private func run(_ net: Net, _ images: [Pixels]) throws -> [[Float]] {
        let (input, output) = (net.part.input, net.part.output)
        let inputs = try images.map { image -> MLFeatureProvider in
            let value = MLFeatureValue(multiArray: try Self.planes(of: image))
            return try MLDictionaryFeatureProvider(dictionary: [input: value])
        }
        return try net.model.results(inputs, name: output)
    }

    /// Returns the red, green and blue planes, 0 to 255; the nets include the standardisation.
    private static func planes(of image: Pixels) throws -> MLMultiArray {
        let shape = [1, 3, image.height, image.width].map { NSNumber(value: $0) }
        let array = try MLMultiArray(shape: shape, dataType: .float32)
        let planes = image.planes
        array.dataPointer.assumingMemoryBound(to: Float.self).update(from: planes, count: planes.count)
        return array
    }
}
#endif
