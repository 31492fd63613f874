import Foundation

/// Crops and the vectors that the server's float32 model gives for them: the proof that travels with a model.
public struct GoldenCrops: Sendable {
    public let crops: [Pixels]
    public let vectors: [[Float]]
    /// The smallest cosine that the model on the phone may have with the server's vectors.
    public let gate: Double

    /// Read a golden.json.
    ///
    /// - Throws: `FaceAllError.badModel` where it is damaged.
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
            gate = file.gate
        } catch let error as DecodingError {
            throw FaceAllError.badModel("golden.json is damaged: \(firstProblem(error))")
        }
        guard !crops.isEmpty, crops.count == vectors.count else {
            throw FaceAllError.badModel("golden.json has \(crops.count) crops and \(vectors.count) vectors")
        }
    }

    /// How near an embedder comes to the server on this machine.
    ///
    /// - Returns: the smallest cosine
    /// - Throws: `FaceAllError.badModel` where that is below the gate.
    @discardableResult
    public func check(_ embedder: FaceEmbedding) async throws -> Double {
        let made = try await embedder.embed(crops: crops)
        guard made.count == vectors.count else {
            throw FaceAllError.badModel("the embedder gives \(made.count) vectors for \(crops.count) crops")
        }
        let cosines = zip(made, vectors).map { one, other -> Double in
            guard one.count == other.count else { return -1 }
            return 1 - Double(squaredDistance(one, other)) / 2
        }
        let smallest = cosines.min() ?? -1
        guard smallest >= gate else {
            throw FaceAllError.badModel("the model has a cosine of \(smallest) to the server's, expected \(gate)")
        }
        return smallest
    }
}
