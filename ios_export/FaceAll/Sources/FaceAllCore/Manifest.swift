import Foundation

/// How pixels become the numbers that a net was trained on. It is inside the Core ML models already.
public struct Standardisation: Equatable, Sendable, Codable {
    public enum Kind: String, Sendable, Codable {
        /// (x - mean) * scale, the same for every picture.
        case fixed
        /// Each picture by its own mean and deviation.
        case prewhiten
    }

    public let kind: Kind
    public let mean: Double
    public let scale: Double
}

/// Which part of a picture a net gets to see of a face.
public struct CropRule: Equatable, Sendable, Codable {
    public enum Shape: String, Sendable, Codable {
        /// The box as it is, pulled to the shape of the net's input.
        case stretch
        /// A square on the mean of the box's width and height.
        case square
    }

    public enum Border: String, Sendable, Codable {
        /// Black where the crop leaves the picture.
        case black
        /// The crop ends at the picture's edge.
        case clip
    }

    /// How much is added to the box in all, half of it on each side, in proportion to its side.
    public let margin: Double
    public let shape: Shape
    /// How far the centre moves down, in proportion to the box's height (of a square: to its side).
    public let shift: Double
    public let border: Border

    public init(margin: Double, shape: Shape, shift: Double, border: Border) {
        self.margin = margin
        self.shape = shape
        self.shift = shift
        self.border = border
    }

    /// Where to cut a face out of a picture of that size.
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

/// What an embedder is and needs: the manifest.json of its model folder, as far as a phone needs it.
public struct Manifest: Equatable, Sendable, Codable {
    /// The number of the layout that this version reads.
    public static let newestSchema = 2

    public let schema: Int
    public let name: String
    public let kind: String
    /// How many numbers an embedder makes.
    public let embeddingSize: Int
    /// Width and height of what the net takes, in pixels.
    public let inputSize: [Int]
    public let standardisation: Standardisation
    /// nil for a model with an alignment.
    public let crop: CropRule?
    /// nil for a model with a crop rule.
    public let alignment: Alignment?
    /// The squared distance up to which two faces count as one person; nil where it was not measured.
    public let matchThreshold: Double?
    public let licence: String

    private enum CodingKeys: String, CodingKey {
        case schema, name, kind
        case embeddingSize = "embedding_size"
        case inputSize = "input_size"
        case standardisation, crop, alignment
        case matchThreshold = "match_threshold"
        case licence
    }

    /// Read a manifest.json.
    ///
    /// - Throws: `FaceAllError.newerFile`, or `badManifest` with what is wrong.
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
                "the model's manifest describes a \(kind) of \(embeddingSize) numbers from \(inputSize) pixels,"
                    + " expected an embedder"
            )
        }
        guard (crop == nil) != (alignment == nil) else {
            throw FaceAllError.badManifest("the model's manifest states a crop and an alignment, or neither")
        }
    }

    /// Cut a face out of a picture, or align it, as the model wants to see it.
    public func crop(_ face: Face, from picture: Pixels) throws -> Pixels {
        let (width, height) = (inputSize[0], inputSize[1])
        if let alignment {
            let map = alignment.map(of: face, width: width, height: height)
            return try picture.warped(map, width: width, height: height, border: alignment.border)
        }
        guard let crop else {
            throw FaceAllError.badManifest("the model's manifest states neither a crop nor an alignment")
        }
        let region = crop.region(of: face.box, width: picture.width, height: picture.height)
        return try picture.cropped(region, width: width, height: height)
    }
}

/// The contract of a package that `faceall convert --to ios` made: which files there are and what they promise.
public struct ModelContract: Equatable, Sendable, Codable {
    /// A Core ML model in the package.
    public struct Part: Equatable, Sendable, Codable {
        /// The file or folder below Models.
        public let path: String
        /// What the model takes and gives, by name.
        public let input: String
        public let output: String
        /// Of all files of the model; it names the compiled copy.
        public let sha256: String
    }

    public static let newestSchema = 1

    public let schema: Int
    /// Says which vectors may be compared; it is in every gallery bundle.
    public let fingerprint: String
    public let precision: String
    public let embedder: Part
    /// proposal, refinement and output; nil where the package finds faces with Vision alone.
    public let detector: [String: Part]?
    /// The manifest.json of the embedder, as it is.
    public let manifest: JSONValue

    /// Read a contract.json.
    ///
    /// - Throws: `FaceAllError.newerFile`, or `badManifest` with what is wrong.
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

    /// What the embedder is and needs.
    public func embedderManifest() throws -> Manifest {
        try Manifest(json: try JSONEncoder().encode(manifest))
    }

    /// What galleries of this model's vectors say of it.
    public func galleryModel() throws -> GalleryModel {
        GalleryModel(name: try embedderManifest().name, fingerprint: fingerprint, manifest: manifest)
    }
}

/// What a decoder tripped over, in a few words.
func firstProblem(_ error: DecodingError) -> String {
    switch error {
    case let .keyNotFound(key, _): return "'\(key.stringValue)' is missing"
    case let .typeMismatch(_, context), let .valueNotFound(_, context), let .dataCorrupted(context):
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? "it is not the JSON that was expected" : "'\(path)' is not what was expected"
    @unknown default: return "it is not the JSON that was expected"
    }
}
