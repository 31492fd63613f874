import Foundation

/// Crops and their vectors from the server's float32 model, to check the model on a device.
public struct GoldenCrops: Sendable {
    /// The crops, in the input size of the embedder.
    public let crops: [Pixels]
    /// The vector of each crop, of unit length.
    public let vectors: [[Float]]
    /// The smallest accepted cosine between the vectors of the device and those of the server.
    public let minimumCosine: Double

    /// Reads a golden.json.
    ///
    /// - Throws: `FaceAllError.badModel` if it is damaged.
    public init(json: Data) throws {
        struct Crop: Decodable {
            let width: Int
            let height: Int
            let values: Data
        }
        struct File: Decodable {
            let gate: Double
            let crops: [Crop]
            let vectors: [[Float]]
        }
        do {
            let file = try JSONDecoder().decode(File.self, from: json)
            crops = try file.crops.map { try Pixels(width: $0.width, height: $0.height, values: [UInt8]($0.values)) }
            vectors = file.vectors
            minimumCosine = file.gate
        } catch let error as DecodingError {
            throw FaceAllError.badModel("golden.json is damaged: \(firstProblem(error))")
        }
        guard !crops.isEmpty, crops.count == vectors.count else {
            throw FaceAllError.badModel("golden.json has \(crops.count) crops and \(vectors.count) vectors")
        }
    }

    /// Compares an embedder on this device with the server's vectors.
    ///
    /// - Returns: The smallest cosine of all crops.
    /// - Throws: `FaceAllError.badModel` if that is below `minimumCosine`.
    @discardableResult
    public func check(_ embedder: FaceEmbedding) async throws -> Double {
        let made = try await embedder.embed(crops: crops)
        guard made.count == vectors.count else {
            throw FaceAllError.badModel("the embedder returned \(made.count) vectors for \(crops.count) crops")
        }
        let cosines = zip(made, vectors).map { one, other -> Double in
            guard one.count == other.count else { return -1 }
            return 1 - Double(squaredDistance(one, other)) / 2
        }
        let smallest = cosines.min() ?? -1
        guard smallest >= minimumCosine else {
            throw FaceAllError.badModel(
                "the model's vectors have a cosine of \(smallest) with the server's, expected at least \(minimumCosine)"
            )
        }
        return smallest
    }
}
