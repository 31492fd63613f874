#if canImport(CoreML)
import CoreML
import CoreVideo
import FaceAllCore
import Foundation

/// The embedder in Core ML. One picture after the other goes through it; calls from many tasks wait for their turn.
///
/// Crops go in as pixels in sRGB: their standardisation and the vectors' unit length are inside the model.
public actor CoreMLEmbedder: FaceEmbedding {
    public nonisolated let manifest: Manifest
    private let part: ModelContract.Part
    private let model: MLModel

    /// Load the embedder of a package; the first time it is compiled, which takes seconds.
    ///
    /// - Parameters:
    ///   - compiled: where its compiled copy is kept
    ///   - units: which processors may run it
    /// - Throws: `FaceAllError.badModel` where the model is absent or Core ML refuses it.
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

    /// The vectors of crops that are cut out already, of unit length.
    ///
    /// - Throws: `FaceAllError.badPicture` for crops of another size, `badModel` where the model gives something else.
    public func embed(crops: [Pixels]) async throws -> [[Float]] {
        let (width, height) = (manifest.inputSize[0], manifest.inputSize[1])
        for crop in crops where crop.width != width || crop.height != height {
            throw FaceAllError.badPicture(
                "a crop has \(crop.width) x \(crop.height) pixels, the model takes \(width) x \(height)"
            )
        }
        let inputs = try crops.map { crop -> MLFeatureProvider in
            let value = MLFeatureValue(pixelBuffer: try PixelBuffers.make(crop))
            return try MLDictionaryFeatureProvider(dictionary: [part.input: value])
        }
        return try model.results(inputs, name: part.output).map { vector in
            guard vector.count == manifest.embeddingSize else {
                throw FaceAllError.badModel(
                    "the embedder gives \(vector.count) numbers, expected \(manifest.embeddingSize)"
                )
            }
            return vector
        }
    }
}

extension MLModel {
    /// What the model says about each input, as plain numbers in C order.
    func results(_ inputs: [MLFeatureProvider], name: String) throws -> [[Float]] {
        if inputs.isEmpty {
            return []
        }
        let answers = try predictions(from: MLArrayBatchProvider(array: inputs), options: MLPredictionOptions())
        return try (0..<answers.count).map { number in
            guard let array = answers.features(at: number).featureValue(for: name)?.multiArrayValue else {
                throw FaceAllError.badModel("the model gives no numbers called '\(name)'")
            }
            return array.numbers
        }
    }
}

extension MLMultiArray {
    /// All numbers in C order, whatever their type and their distances in memory.
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
