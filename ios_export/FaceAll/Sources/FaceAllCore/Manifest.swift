import Foundation

/// How pixels are standardised before inference. The Core ML models include this step.
public struct Standardisation: Equatable, Sendable, Codable {
    /// The kinds of standardisation.
    public enum Kind: String, Sendable, Codable {
        /// (x - mean) * scale, the same for every image.
        case fixed
        /// Each image by its own mean and standard deviation.
        case prewhiten
    }

    /// The kind of standardisation.
    public let kind: Kind
    /// The value that is subtracted; not used by `prewhiten`.
    public let mean: Double
    /// The factor after the subtraction; not used by `prewhiten`.
    public let scale: Double
}

/// Which part of an image around a face is the input of a net.
public struct CropRule: Equatable, Sendable, Codable {
    /// The form of a crop.
    public enum Shape: String, Sendable, Codable {
        /// The box, stretched to the aspect ratio of the net's input.
        case stretch
        /// A square whose side is the mean of the box's width and height.
        case square
    }

    /// What happens at the edge of the image.
    public enum Border: String, Sendable, Codable {
        /// Pixels outside the image are black.
        case black
        /// The crop ends at the edge of the image.
        case clip
    }

    /// The total margin, half of it on each side, as a fraction of the box's side.
    public let margin: Double
    /// The form of the crop.
    public let shape: Shape
    /// The downward shift of the centre, as a fraction of the box's height (for a square: of its side).
    public let shift: Double
    /// What happens at the edge of the image.
    public let border: Border

    /// Creates a rule.
    public init(margin: Double, shape: Shape, shift: Double, border: Border) {
        self.margin = margin
        self.shape = shape
        self.shift = shift
        self.border = border
    }

    /// Returns the region of a box in an image of the given size.
    public func region(of box: Box, width: Int, height: Int) -> Region {
        let x0 = Double(box.x0), y0 = Double(box.y0), x1 = Double(box.x1), y1 = Double(box.y1)
        var across = x1 - x0, down = y1 - y0
        if shape == .square {
            across = (across + down) / 2
            down = across
        }
        let centreX = (x0 + x1) / 2, centreY = (y0 + y1) / 2 + shift * down
        let halfAcross = across * (1 + margin) / 2, halfDown = down * (1 + margin) / 2
        let region = Region(
            x0: centreX - halfAcross, y0: centreY - halfDown, x1: centreX + halfAcross, y1: centreY + halfDown
        )
        return border == .clip ? region.clipped(width: Double(width), height: Double(height)) : region
    }
}

extension Region {
    fileprivate func clipped(width: Double, height: Double) -> Region {
        Region(
            x0: min(max(x0, 0), width), y0: min(max(y0, 0), height),
            x1: min(max(x1, 0), width), y1: min(max(y1, 0), height)
        )
    }
}

/// The upper tail of the cosine similarities of two people, measured on many; thresholds of searches follow from it.
public struct NonMatedScores: Equatable, Sendable, Codable {
    /// The mean of the cosine.
    public let mean: Double
    /// The standard deviation of the cosine.
    public let deviation: Double
    /// The curvature of the tail; 0 for a normal distribution.
    public let bend: Double
    /// The number of people it was measured on.
    public let people: Int
}

/// The description of an embedder: the fields of its manifest.json that a phone needs.
public struct Manifest: Equatable, Sendable, Codable {
    /// The newest schema that this version reads.
    public static let newestSchema = 4

    /// The version of the form of the manifest.
    public let schema: Int
    /// The name of the model.
    public let name: String
    /// The kind of the model: "embedder".
    public let kind: String
    /// The dimension of the embeddings.
    public let embeddingSize: Int
    /// The width and height of the net's input, in pixels.
    public let inputSize: [Int]
    /// The channel order of the net's input, "RGB" or "BGR". The Core ML models take RGB images in either case.
    public let channels: String?
    /// How pixels are standardised before inference.
    public let standardisation: Standardisation
    /// The crop rule, or `nil` for a model with an alignment.
    public let crop: CropRule?
    /// The alignment, or `nil` for a model with a crop rule.
    public let alignment: Alignment?
    /// The largest squared distance of two faces of one person, or `nil` if it was not measured.
    public let matchThreshold: Double?
    /// The share of pairs of two people within that distance, or `nil` if it was not measured.
    public let matchThresholdFalseAcceptRate: Double?
    /// The similarities of two people, or `nil` if they were not measured.
    public let nonMatedScores: NonMatedScores?
    /// The licence of the weights.
    public let licence: String

    private enum CodingKeys: String, CodingKey {
        case schema, name, kind
        case embeddingSize = "embedding_size"
        case inputSize = "input_size"
        case channels, standardisation, crop, alignment
        case matchThreshold = "match_threshold"
        case matchThresholdFalseAcceptRate = "match_threshold_false_accept_rate"
        case nonMatedScores = "non_mated_scores"
        case licence
    }

    /// Reads a manifest.json.
    ///
    /// - Throws: `FaceAllError.newerFile` if a newer faceall wrote it, `badManifest` if it is not valid.
    public init(json: Data) throws {
        struct Version: Decodable { let schema: Int }
        do {
            let version = try JSONDecoder().decode(Version.self, from: json).schema
            guard version <= Manifest.newestSchema else {
                throw FaceAllError.newerFile(
                    "the model's manifest has schema \(version), this version reads up to \(Manifest.newestSchema):"
                        + " update the app"
                )
            }
            self = try JSONDecoder().decode(Manifest.self, from: json)
        } catch let error as DecodingError {
            throw FaceAllError.badManifest("the model's manifest is damaged: \(firstProblem(error))")
        }
        guard kind == "embedder", embeddingSize > 0, inputSize.count == 2, inputSize.allSatisfy({ $0 > 0 }) else {
            throw FaceAllError.badManifest(
                "the model's manifest describes a \(embeddingSize)-dimensional \(kind) with an input of"
                    + " \(inputSize) pixels, expected an embedder with positive sizes"
            )
        }
        guard (crop == nil) != (alignment == nil) else {
            throw FaceAllError.badManifest("the model's manifest has a crop and an alignment, or neither: expected one")
        }
        guard nonMatedScores.map({ abs($0.mean) < 1 && (0..<1).contains($0.bend) && $0.deviation > 0 && $0.deviation < 1 })
            ?? true
        else {
            throw FaceAllError.badManifest("the model's manifest has 'non_mated_scores' out of their ranges")
        }
    }

    /// Returns the crop of a face, cut out or aligned as the model expects.
    ///
    /// - Throws: `FaceAllError.badImage` if the face cannot be cut out.
    public func crop(_ face: Face, from image: Pixels) throws -> Pixels {
        let (width, height) = (inputSize[0], inputSize[1])
        if let alignment {
            let map = alignment.map(of: face, width: width, height: height)
            return try image.warped(map, width: width, height: height, border: alignment.border)
        }
        guard let crop else {
            throw FaceAllError.badManifest("the model's manifest has neither a crop nor an alignment")
        }
        let region = crop.region(of: face.box, width: image.width, height: image.height)
        return try image.cropped(region, width: width, height: height)
    }
}

extension Manifest {
    /// Refuses crops of another size than the input of the net.
    ///
    /// - Throws: `FaceAllError.badImage`.
    package func checkSize(of crops: [Pixels]) throws {
        let (width, height) = (inputSize[0], inputSize[1])
        for crop in crops where crop.width != width || crop.height != height {
            throw FaceAllError.badImage(
                "a crop has \(crop.width) x \(crop.height) pixels, the model expects \(width) x \(height)"
            )
        }
    }

    /// Refuses a vector of another dimension than the embeddings.
    ///
    /// - Throws: `FaceAllError.badModel`.
    package func checkSize(of vector: [Float]) throws {
        guard vector.count == embeddingSize else {
            throw FaceAllError.badModel("the embedder returned \(vector.count) dimensions, expected \(embeddingSize)")
        }
    }
}

/// The contract of a package from `faceall convert --to ios`: its models, their inputs and outputs.
public struct ModelContract: Equatable, Sendable, Codable {
    /// A Core ML model in the package.
    public struct Part: Equatable, Sendable, Codable {
        /// The path of the file or folder, relative to Models.
        public let path: String
        /// The name of the model's input.
        public let input: String
        /// The name of the model's output.
        public let output: String
        /// The SHA-256 of all files of the model; the compiled copy is named after it.
        public let sha256: String
    }

    /// The models for Core AI in the package.
    public struct CoreAIModels: Equatable, Sendable, Codable {
        /// The precision of the embedder, "float32" or "float16".
        public let precision: String
        /// The embedder.
        public let embedder: Part
        /// The nets `proposal`, `refinement` and `output`, or `nil` if the package has no MTCNN.
        public let detector: [String: Part]?
    }

    /// The newest schema that this version reads.
    public static let newestSchema = 1

    /// The version of the form of the contract.
    public let schema: Int
    /// Identifies the model: only vectors with the same fingerprint can be compared. Bundles contain it.
    public let fingerprint: String
    /// The precision of the embedder in Core ML, such as "float16".
    public let precision: String
    /// The embedder in Core ML.
    public let embedder: Part
    /// The nets `proposal`, `refinement` and `output`, or `nil` if the package has no MTCNN and uses Vision.
    public let detector: [String: Part]?
    /// The models for Core AI (iOS 27 and later), or `nil` if the package has none.
    public let coreAI: CoreAIModels?
    /// The manifest.json of the embedder, unchanged.
    public let manifest: JSONValue

    private enum CodingKeys: String, CodingKey {
        case schema, fingerprint, precision, embedder, detector
        case coreAI = "coreai"
        case manifest
    }

    /// Reads a contract.json.
    ///
    /// - Throws: `FaceAllError.newerFile` if a newer faceall wrote it, `badManifest` if it is damaged.
    public init(json: Data) throws {
        do {
            self = try JSONDecoder().decode(ModelContract.self, from: json)
        } catch let error as DecodingError {
            throw FaceAllError.badManifest("contract.json is damaged: \(firstProblem(error))")
        }
        guard schema <= ModelContract.newestSchema else {
            throw FaceAllError.newerFile(
                "contract.json has schema \(schema), this version reads up to \(ModelContract.newestSchema):"
                    + " update the package"
            )
        }
    }

    /// Returns the description of the embedder.
    public func embedderManifest() throws -> Manifest {
        try Manifest(json: try JSONEncoder().encode(manifest))
    }

    /// Returns the description of the model for galleries.
    public func galleryModel() throws -> GalleryModel {
        GalleryModel(name: try embedderManifest().name, fingerprint: fingerprint, manifest: manifest)
    }
}

/// Returns a short description of a decoding error.
func firstProblem(_ error: DecodingError) -> String {
    switch error {
    case let .keyNotFound(key, _): return "'\(key.stringValue)' is missing"
    case let .typeMismatch(_, context), let .valueNotFound(_, context), let .dataCorrupted(context):
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? "it is not the JSON that was expected" : "'\(path)' is not what was expected"
    @unknown default: return "it is not the JSON that was expected"
    }
}
