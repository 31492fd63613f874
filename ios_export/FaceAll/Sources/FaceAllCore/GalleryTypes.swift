import Foundation

/// The model whose vectors a gallery holds; it goes into every bundle as it came.
public struct GalleryModel: Equatable, Sendable, Codable {
    public let name: String
    /// Only vectors of one fingerprint may be compared: 64 hexadecimal digits.
    public let fingerprint: String
    public let manifest: JSONValue

    public init(name: String, fingerprint: String, manifest: JSONValue) {
        self.name = name
        self.fingerprint = fingerprint
        self.manifest = manifest
    }
}

/// Somebody in the gallery.
public struct Person: Equatable, Sendable, Codable, Identifiable {
    /// A UUID in lower case, kept through every renaming, export and import.
    public let id: String
    public internal(set) var name: String
    public let created: Timestamp
    /// When the name changed last.
    public internal(set) var changed: Timestamp
}

/// The picture that a face was found in; the picture itself is not kept.
public struct Photo: Equatable, Sendable, Codable {
    /// A file's name without its folder.
    public let name: String
    /// Of the bytes that were looked at, 64 hexadecimal digits.
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
        try container.encode(width, forKey: .width) // null where unknown
        try container.encode(height, forKey: .height)
    }
}

/// A face of the gallery, without its vector.
public struct StoredFace: Equatable, Sendable, Identifiable {
    public let id: String
    /// The id of the person whom it is filed under; nil: nobody.
    public internal(set) var person: String?
    /// Whether its photo is a picture of this face.
    public let chief: Bool
    public let photo: Photo
    public let face: Face
    /// A JPEG.
    public let thumbnail: Data
    public let created: Timestamp
    /// When it was filed under somebody else last.
    public internal(set) var changed: Timestamp
}

/// A face of the gallery that is like a query.
public struct Match: Equatable, Sendable {
    public let face: StoredFace
    /// Whom it is filed under; nil: nobody.
    public let person: Person?
    /// Squared L2 of the vectors: 0 same, 4 opposite.
    public let distance: Float

    /// The cosine of the vectors: 1 same, -1 opposite.
    public var similarity: Float { 1 - distance / 2 }
}

/// What a merge changed.
public struct MergeReport: Equatable, Sendable {
    public internal(set) var people = 0
    public internal(set) var faces = 0
    /// What differed on both sides, and what was kept, a sentence each.
    public internal(set) var conflicts: [String] = []
}

/// A moment in UTC, in whole seconds, written as 2026-11-22T14:40:00Z; the later one is the larger.
public struct Timestamp: Equatable, Comparable, Sendable, Codable {
    public let text: String

    /// - Throws: `FaceAllError.badGallery` for anything of another form.
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
        let formatter = ISO8601DateFormatter() // UTC and whole seconds unless told otherwise
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

/// A person's name as it is kept: composed (NFC), without white space around it.
///
/// - Throws: `FaceAllError.badGallery` for a name that is empty or too long.
public func tidyName(_ name: String) throws -> String {
    let tidy = name.precomposedStringWithCanonicalMapping.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !tidy.isEmpty, tidy.utf8.count <= 1000, !tidy.unicodeScalars.contains("\0") else {
        throw FaceAllError.badGallery("a person's name has 1 to 1,000 bytes, this one \(tidy.utf8.count)")
    }
    return tidy
}
