import Foundation

/// The model that made the vectors of a gallery. Bundles contain it unchanged.
public struct GalleryModel: Equatable, Sendable, Codable {
    public let name: String
    /// Identifies the model, 64 hexadecimal digits. Only vectors with the same fingerprint can be compared.
    public let fingerprint: String
    public let manifest: JSONValue

    public init(name: String, fingerprint: String, manifest: JSONValue) {
        self.name = name
        self.fingerprint = fingerprint
        self.manifest = manifest
    }
}

/// A person of the gallery.
public struct Person: Equatable, Sendable, Codable, Identifiable {
    /// A UUID in lower case. Renaming, export and import keep it.
    public let id: String
    public internal(set) var name: String
    public let created: Timestamp
    /// The time of the last change of the name.
    public internal(set) var changed: Timestamp
}

/// The photo that a face was found in. Its pixels are not stored.
public struct Photo: Equatable, Sendable, Codable {
    /// The file name without its folder.
    public let name: String
    /// The SHA-256 of the file, 64 hexadecimal digits.
    public let sha256: String
    public let width: Int?
    public let height: Int?

    public init(name: String, sha256: String, width: Int?, height: Int?) {
        self.name = name
        self.sha256 = sha256
        self.width = width
        self.height = height
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(sha256, forKey: .sha256)
        try container.encode(width, forKey: .width) // null if unknown
        try container.encode(height, forKey: .height)
    }
}

/// A face of the gallery, without its vector.
public struct StoredFace: Equatable, Sendable, Codable, Identifiable {
    public let id: String
    /// The id of the person, or `nil` for an unassigned face.
    public internal(set) var person: String?
    /// Whether this is the primary face of its photo.
    public let isPrimary: Bool
    public let photo: Photo
    public let face: Face
    /// The face as a JPEG.
    public let thumbnail: Data
    public let created: Timestamp
    /// The time of the last assignment to another person.
    public internal(set) var changed: Timestamp
}

/// A face of the gallery that was found by a search.
public struct Match: Equatable, Sendable {
    public let face: StoredFace
    /// The person of the face, or `nil` for an unassigned face.
    public let person: Person?
    /// The squared L2 distance of the vectors: 0 for equal, 4 for opposite vectors.
    public let distance: Float

    /// The cosine of the vectors: 1 for equal, -1 for opposite vectors.
    public var similarity: Float { 1 - distance / 2 }
}

/// The result of a merge.
public struct MergeReport: Equatable, Sendable {
    /// The number of added people.
    public internal(set) var people = 0
    /// The number of added faces.
    public internal(set) var faces = 0
    /// One sentence for each difference, with the value that was kept.
    public internal(set) var conflicts: [String] = []
}

/// A time in UTC with a resolution of one second, such as 2026-11-22T14:40:00Z. Later times compare as larger.
public struct Timestamp: Equatable, Comparable, Sendable, Codable {
    public let text: String

    /// Creates a timestamp from its text form.
    ///
    /// - Throws: `FaceAllError.badGallery` if the text has another form.
    public init(_ text: String) throws {
        let form = Array("0000-00-00T00:00:00Z".utf8), given = Array(text.utf8)
        let fits = given.count == form.count && zip(given, form).allSatisfy { character, expected in
            expected == UInt8(ascii: "0") ? (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character)
                : character == expected
        }
        guard fits else {
            throw FaceAllError.badGallery("the time is '\(text.prefix(40))', expected the form 2026-11-22T14:40:00Z")
        }
        self.text = text
    }

    public init(_ date: Date) {
        let formatter = ISO8601DateFormatter() // UTC and whole seconds by default
        text = formatter.string(from: date)
    }

    public init(from decoder: Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    public static func < (first: Timestamp, second: Timestamp) -> Bool {
        Array(first.text.utf8).lexicographicallyPrecedes(Array(second.text.utf8))
    }
}

/// Returns a person's name in its stored form: composed (NFC), without surrounding white space.
///
/// - Throws: `FaceAllError.badGallery` if the name is empty, longer than 1,000 bytes or contains a NUL.
public func tidyName(_ name: String) throws -> String {
    let tidy = name.precomposedStringWithCanonicalMapping.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !tidy.isEmpty, tidy.utf8.count <= 1000, !tidy.unicodeScalars.contains("\0") else {
        throw FaceAllError.badGallery("the name has \(tidy.utf8.count) bytes, expected 1 to 1,000 without NUL")
    }
    return tidy
}
