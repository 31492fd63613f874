import Foundation

/// The model that made the vectors of a gallery. Bundles contain it unchanged.
public struct GalleryModel: Equatable, Sendable, Codable {
    /// The name of the model.
    public let name: String
    /// Identifies the model, 64 hexadecimal digits. Only vectors with the same fingerprint can be compared.
    public let fingerprint: String
    /// The manifest.json of the model, unchanged.
    public let manifest: JSONValue

    /// Creates the description of a model.
    public init(name: String, fingerprint: String, manifest: JSONValue) {
        self.name = name
        self.fingerprint = fingerprint
        self.manifest = manifest
    }
}

/// A person of the gallery, or a group of faces without a name.
public struct Person: Equatable, Sendable, Codable, Identifiable {
    /// A UUID in lower case. Renaming, export and import keep it.
    public let id: String
    /// The name, which no other person of the gallery has.
    public internal(set) var name: String
    /// The time of the creation.
    public let created: Timestamp
    /// The time of the last change of the name.
    public internal(set) var changed: Timestamp
    /// What is noted of the person, or `nil` if nothing ever was.
    public internal(set) var details: PersonDetails?
    /// Whether this is a group without a name; its `name` is only how this gallery shows it, such as "unnamed 12".
    public internal(set) var isUnnamed: Bool

    private enum CodingKeys: String, CodingKey {
        case id, name, created, changed, details
        case isUnnamed = "unnamed"
    }

    init(
        id: String, name: String, created: Timestamp, changed: Timestamp, details: PersonDetails? = nil,
        isUnnamed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.changed = changed
        self.details = details
        self.isUnnamed = isUnnamed
    }

    /// Reads a person; files of older versions mark groups by nothing but their names.
    public init(from decoder: Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        name = try container.decode(String.self, forKey: .name)
        created = try container.decode(Timestamp.self, forKey: .created)
        changed = try container.decode(Timestamp.self, forKey: .changed)
        details = try container.decodeIfPresent(PersonDetails.self, forKey: .details)
        isUnnamed = try container.decodeIfPresent(Bool.self, forKey: .isUnnamed) ?? Person.isGroupName(name)
    }

    /// Writes the value in the form of gallery bundles.
    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encode(created, forKey: .created)
        try container.encode(changed, forKey: .changed)
        try container.encodeIfPresent(details, forKey: .details)
        if isUnnamed || Person.isGroupName(name) { // a person may really be called "unnamed 12"
            try container.encode(isUnnamed, forKey: .isUnnamed)
        }
    }

    /// Returns whether a name looks like those that galleries give to groups.
    static func isGroupName(_ name: String) -> Bool {
        name.range(of: "^unnamed [0-9]+\\**$", options: .regularExpression) != nil
    }
}

/// The photo that a face was found in. Its pixels are not stored.
public struct Photo: Equatable, Sendable, Codable {
    /// The file name without its folder.
    public let name: String
    /// The SHA-256 of the file, 64 hexadecimal digits.
    public let sha256: String
    /// The width in pixels, or `nil` if it is not known.
    public let width: Int?
    /// The height in pixels, or `nil` if it is not known.
    public let height: Int?
    /// When it was taken as the camera noted it, without a time zone, such as 2024-05-01T12:00:00; `nil` if unknown.
    public internal(set) var taken: String?
    /// The maker and model of the camera, or `nil` if they are not known.
    public internal(set) var camera: String?

    /// Creates the description of a photo.
    public init(
        name: String, sha256: String, width: Int?, height: Int?, taken: String? = nil, camera: String? = nil
    ) {
        self.name = name
        self.sha256 = sha256
        self.width = width
        self.height = height
        self.taken = taken
        self.camera = camera
    }

    /// Writes the value in the form of gallery bundles.
    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(sha256, forKey: .sha256)
        try container.encode(width, forKey: .width) // null if unknown
        try container.encode(height, forKey: .height)
        try container.encodeIfPresent(taken, forKey: .taken)
        try container.encodeIfPresent(camera, forKey: .camera)
    }
}

/// When a face of a video is seen, in seconds from the start of the video.
public struct Moment: Equatable, Sendable, Codable {
    /// The frame in which the face was cut out.
    public let seconds: Double
    /// The first frame that shows the face.
    public let first: Double
    /// The last frame that shows the face.
    public let last: Double
}

/// A face of the gallery, without its vector.
public struct StoredFace: Equatable, Sendable, Codable, Identifiable {
    /// A UUID in lower case. Export and import keep it.
    public let id: String
    /// The id of the person, or `nil` for an unassigned face.
    public internal(set) var person: String?
    /// Whether this is the primary face of its photo.
    public let isPrimary: Bool
    /// The photo that the face was found in.
    public internal(set) var photo: Photo
    /// The box, score and landmarks.
    public let face: Face
    /// The face as a JPEG.
    public let thumbnail: Data
    /// The time of the creation.
    public let created: Timestamp
    /// The time of the last assignment to another person.
    public internal(set) var changed: Timestamp
    /// Whether the face is not suggested.
    public internal(set) var hidden: Bool
    /// When the face is seen in a video, or `nil` for a face of a photo.
    public let moment: Moment?

    init(
        id: String, person: String?, isPrimary: Bool, photo: Photo, face: Face, thumbnail: Data, created: Timestamp,
        changed: Timestamp, hidden: Bool = false, moment: Moment? = nil
    ) {
        self.id = id
        self.person = person
        self.isPrimary = isPrimary
        self.photo = photo
        self.face = face
        self.thumbnail = thumbnail
        self.created = created
        self.changed = changed
        self.hidden = hidden
        self.moment = moment
    }

    /// Reads a face; files of older versions do not say whether it is hidden.
    public init(from decoder: Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        person = try container.decodeIfPresent(String.self, forKey: .person)
        isPrimary = try container.decode(Bool.self, forKey: .isPrimary)
        photo = try container.decode(Photo.self, forKey: .photo)
        face = try container.decode(Face.self, forKey: .face)
        thumbnail = try container.decode(Data.self, forKey: .thumbnail)
        created = try container.decode(Timestamp.self, forKey: .created)
        changed = try container.decode(Timestamp.self, forKey: .changed)
        hidden = try container.decodeIfPresent(Bool.self, forKey: .hidden) ?? false
        moment = try container.decodeIfPresent(Moment.self, forKey: .moment)
    }
}

/// A face of the gallery that was found by a search.
public struct Match: Equatable, Sendable {
    /// The face that was found.
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
    /// The time as text.
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

    /// Creates the timestamp of a date; fractions of a second are dropped.
    public init(_ date: Date) {
        let formatter = ISO8601DateFormatter() // UTC and whole seconds by default
        text = formatter.string(from: date)
    }

    /// Reads a timestamp.
    public init(from decoder: Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the value in the form of gallery bundles.
    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// Returns whether the first time is earlier.
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
