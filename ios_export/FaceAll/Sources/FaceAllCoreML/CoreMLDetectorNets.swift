#if canImport(CoreML)
import CoreML
import FaceAllCore
import Foundation

/// MTCNN's three nets in Core ML; a `Detector` asks them.
public actor CoreMLDetectorNets: MTCNNNets {
    /// The longest side of a canvas that the first net takes.
    public static let longestSide = 4096

    private struct Net {
        let part: ModelContract.Part
        let model: MLModel
    }

    private let proposal: Net
    private let refinement: Net
    private let output: Net

    /// Load the nets of a package; the first time they are compiled, which takes seconds.
    ///
    /// - Parameters:
    ///   - compiled: where their compiled copies are kept
    ///   - units: which processors may run them
    /// - Throws: `FaceAllError.badModel` where the package was made without a detector, or Core ML refuses a net.
    public static func load(
        _ package: ModelPackage, compiled: CompiledModels, units: MLComputeUnits = .all
    ) async throws -> CoreMLDetectorNets {
        try CoreMLDetectorNets(package, compiled, units)
    }

    private init(_ package: ModelPackage, _ compiled: CompiledModels, _ units: MLComputeUnits) throws {
        guard let parts = package.contract.detector else {
            throw FaceAllError.badModel("the package has no MTCNN: use Vision, or make it again with a detector")
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

    public func propose(_ canvas: Pixels) async throws -> Proposals {
        guard max(canvas.width, canvas.height) <= Self.longestSide else {
            throw FaceAllError.badPicture(
                "the picture needs a canvas of \(canvas.width) x \(canvas.height) pixels, at most \(Self.longestSide) fit:"
                    + " look for larger faces (minFace), or scale it down"
            )
        }
        let values = try ask(proposal, [canvas])[0]
        let rows = (canvas.height - Pyramid.window) / Pyramid.stride + 1
        let columns = (canvas.width - Pyramid.window) / Pyramid.stride + 1
        return Proposals(rows: rows, columns: columns, values: values)
    }

    public func refine(_ crops: [Pixels]) async throws -> [[Float]] {
        try ask(refinement, crops)
    }

    public func finish(_ crops: [Pixels]) async throws -> [[Float]] {
        try ask(output, crops)
    }

    private func ask(_ net: Net, _ pictures: [Pixels]) throws -> [[Float]] {
        let (input, output) = (net.part.input, net.part.output)
        let inputs = try pictures.map { picture -> MLFeatureProvider in
            let value = MLFeatureValue(multiArray: try Self.planes(of: picture))
            return try MLDictionaryFeatureProvider(dictionary: [input: value])
        }
        return try net.model.results(inputs, name: output)
    }

    /// A plane of red, one of green and one of blue, 0 to 255: standardisation is inside the nets.
    private static func planes(of picture: Pixels) throws -> MLMultiArray {
        let size = picture.width * picture.height
        let shape = [1, 3, picture.height, picture.width].map { NSNumber(value: $0) }
        let array = try MLMultiArray(shape: shape, dataType: .float32)
        let target = array.dataPointer.assumingMemoryBound(to: Float.self)
        for colour in 0..<3 {
            for pixel in 0..<size {
                target[colour * size + pixel] = Float(picture.values[pixel * 3 + colour])
            }
        }
        return array
    }
}
#endif
