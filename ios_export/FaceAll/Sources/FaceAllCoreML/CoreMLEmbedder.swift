#if canImport(CoreML)
import CoreML
import CoreVideo
import FaceAllCore
import Foundation

/// The embedder in Core ML. Concurrent calls run one after the other.
///
/// Inputs are crops in sRGB; the model includes the standardisation and returns unit vectors.
public actor CoreMLEmbedder: FaceEmbedding {
    /// The description of the embedder, with its crop rule or alignment.
    public nonisolated let manifest: Manifest
    private let part: ModelContract.Part
    private let model: MLModel

    /// Loads the embedder of a package. The first call compiles it, which takes seconds.
    ///
    /// - Parameters:
    ///   - package: The package with the embedder.
    ///   - compiled: The compiled copies.
    ///   - units: The processors that may run the embedder.
    /// - Throws: `FaceAllError.badModel` if the model is missing or Core ML cannot load it.
    public static func load(
        _ package: ModelPackage, compiled: CompiledModels, units: MLComputeUnits = .all
    ) async throws -> CoreMLEmbedder {
        try CoreMLEmbedder(package, compiled, units)
    }

    private init(_ package: ModelPackage, _ compiled: CompiledModels, _ units: MLComputeUnits) throws {
        manifest = package.manifest
        part = package.contract.embedder
        model = try compiled.model(at: try package.url(of: part), sha256: part.sha256, units: units)
    }

    /// Returns one unit vector for each crop.
    ///
    /// - Throws: `FaceAllError.badImage` if a crop has another size, `badModel` if the output has another dimension.
    public func embed(crops: [Pixels]) async throws -> [[Float]] {
        try manifest.checkSize(of: crops)
        let inputs = try crops.map { crop -> MLFeatureProvider in
            let value = MLFeatureValue(pixelBuffer: try PixelBuffers.make(crop))
            return try MLDictionaryFeatureProvider(dictionary: [part.input: value])
        }
        let vectors = try model.results(inputs, name: part.output)
        try vectors.forEach(manifest.checkSize(of:))
        return vectors
    }
}

extension MLModel {
    /// Returns the model's output for each input, as values in C order.
    func results(_ inputs: [MLFeatureProvider], name: String) throws -> [[Float]] {
        if inputs.isEmpty {
            return []
        }
        let answers = try predictions(from: MLArrayBatchProvider(array: inputs), options: MLPredictionOptions())
        return try (0..<answers.count).map { number in
            guard let array = answers.features(at: number).featureValue(for: name)?.multiArrayValue else {
                throw FaceAllError.badModel("the model has no output array '\(name)'")
            }
            return array.numbers
        }
    }
}

extension MLMultiArray {
    /// All values in C order, for any data type and strides.
    var numbers: [Float] {
        var expected = 1
        var isDense = true
        for (size, stride) in zip(shape, strides).reversed() {
            isDense = isDense && (stride.intValue == expected || size.intValue == 1)
            expected *= size.intValue
        }
        if dataType == .float32 && isDense {
            let start = dataPointer.assumingMemoryBound(to: Float.self)
            return Array(UnsafeBufferPointer(start: start, count: count))
        }
        return (0..<count).map { self[$0].floatValue }
    }
}
#endif
