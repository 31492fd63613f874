import FaceAllCore
import Foundation

/// What several frames say about the identity of one face.
///
/// The vectors of the frames are averaged, weighted by quality, and the average is searched: one identity over several
/// frames misses fewer people than each frame alone, and does not flicker. Only the best frames count.
public struct IdentityEvidence: Equatable, Sendable {
    /// The maximum number of frames that count.
    public static let mostFrames = 8

    private struct Frame: Equatable, Sendable {
        let vector: [Float]
        let weight: Double
        let isPoor: Bool
    }

    private var frames: [Frame] = []

    /// Creates evidence without frames.
    public init() {}

    /// The number of frames that count.
    public var count: Int { frames.count }

    /// Whether all frames are of poor quality; a match is then only possible.
    public var isPoor: Bool { frames.allSatisfy(\.isPoor) }

    /// Adds the vector of a frame; of more than `mostFrames`, the ones of the best quality are kept.
    ///
    /// - Parameters:
    ///   - vector: The embedding of the face, of unit length.
    ///   - quality: The quality of the face.
    public mutating func add(_ vector: [Float], quality: FaceQuality) {
        guard frames.first.map({ $0.vector.count == vector.count }) ?? true else { return }
        frames.append(Frame(vector: vector, weight: max(quality.score, 1e-3), isPoor: !quality.notes.isEmpty))
        if frames.count > IdentityEvidence.mostFrames,
           let worst = frames.indices.min(by: { frames[$0].weight < frames[$1].weight })
        {
            frames.remove(at: worst)
        }
    }

    /// The weighted mean of the vectors, of unit length; `nil` without frames.
    public var vector: [Float]? {
        guard let size = frames.first?.vector.count else { return nil }
        var total = [Double](repeating: 0, count: size)
        for frame in frames {
            for place in 0..<size {
                total[place] += frame.weight * Double(frame.vector[place])
            }
        }
        let length = sqrt(total.reduce(0) { $0 + $1 * $1 })
        return length > 1e-9 ? total.map { Float($0 / length) } : nil
    }

    /// Decides on the identity over all frames.
    ///
    /// - Parameters:
    ///   - gallery: The known people.
    ///   - threshold: The threshold, from `matchThreshold(fpir:)`.
    /// - Returns: The best person with the decision, or `nil` without frames or people.
    /// - Throws: `FaceAllError.badGallery` if the vectors have another dimension than the gallery's.
    public func decide(in gallery: Gallery, threshold: MatchThreshold) throws -> Identification? {
        guard let vector else { return nil }
        return try gallery.identify(vector, threshold: threshold, count: 1, isPoor: isPoor).first
    }
}
