import Foundation

/// People, their faces and the vectors of the faces. A gallery has value semantics: copy it, change it, save it.
public struct Gallery: Equatable, Sendable {
    /// The maximum number of faces, and of people, in a bundle.
    public static let mostFaces = 60_000
    static let largestThumbnail = 256 * 1024

    /// The model that makes the vectors.
    public let model: GalleryModel
    /// The dimension of the vectors.
    public let size: Int
    /// The largest squared distance of two faces of one person; `nil` if it is not known.
    public let threshold: Double?
    /// The people, those who were added first at the beginning.
    public internal(set) var people: [Person] = []
    /// The faces, in the order in which they were added or read.
    public internal(set) var faces: [StoredFace] = []
    /// The vectors of all faces one after the other, `size` values each, in the order of `faces`.
    var vectors: [Float] = []
    /// Other ids of people, from merges; each maps to the id in this gallery.
    var otherIDs: [String: String] = [:]
    /// The ids of faces that were removed here; a merge does not add them again unless it restores them.
    var removedFaces: Set<String> = []
    /// The history of changes, and what undoing needs.
    var journal = Journal()

    /// Creates an empty gallery.
    ///
    /// - Parameters:
    ///   - model: The model that makes the vectors.
    ///   - size: The dimension of the vectors, 1 to 4096.
    ///   - threshold: The largest squared distance of two faces of one person, 0 to 4, or `nil` if it is not known.
    /// - Throws: `FaceAllError.badGallery` if the size or the threshold is out of its range.
    public init(model: GalleryModel, size: Int, threshold: Double?) throws {
        guard (1...4096).contains(size), threshold.map({ (0...4).contains($0) }) ?? true else {
            throw FaceAllError.badGallery(
                "the dimension is \(size) and the threshold \(threshold ?? 0), expected 1...4096 and 0...4"
            )
        }
        self.model = model
        self.size = size
        self.threshold = threshold
    }

    /// Returns the vector of the face at an index of `faces`.
    public func vector(_ number: Int) -> [Float] {
        Array(vectors[(number * size)..<((number + 1) * size)])
    }

    /// Returns the person with an id, or `nil` if there is none.
    public func person(_ id: String) -> Person? {
        people.first { $0.id == id }
    }

    /// Returns the faces of the person with an id.
    public func faces(of person: String) -> [StoredFace] {
        faces.filter { $0.person == person }
    }

    // MARK: - Changing

    /// Adds a face and assigns it to the person of a name, who is created if there is none.
    ///
    /// A face with the same vector and the same photo is not added twice; it is assigned to the given person instead.
    ///
    /// - Parameters:
    ///   - face: The box, score and landmarks of the face.
    ///   - vector: The embedding of the face, of unit length.
    ///   - name: The name of the person, or `nil` for an unassigned face.
    ///   - photo: The photo that the face was found in.
    ///   - thumbnail: A JPEG of at most 256 KiB.
    ///   - isPrimary: Whether the face is the primary face of its photo.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Returns: The face as it is stored.
    /// - Throws: `FaceAllError.badGallery` if a value is not valid or the gallery is full.
    @discardableResult
    public mutating func enrol(
        _ face: Face, vector: [Float], name: String?, photo: Photo, thumbnail: Data, isPrimary: Bool = true,
        author: String = "", now: Date = Date()
    ) throws -> StoredFace {
        let time = Timestamp(now)
        try check(vector)
        try checkThumbnail(thumbnail)
        guard faces.count < Gallery.mostFaces else {
            throw FaceAllError.badGallery("the gallery is full: it has \(faces.count) faces, remove some")
        }
        let tidy = try name.map(tidyName)
        let details: [String: JSONValue] = ["faces": .integer(1), "person": tidy.map { .string($0) } ?? .null]
        return recording(tidy == nil ? "unassign" : "assign", author, now, details) { gallery in
            gallery.store(face, vector, tidy, photo, thumbnail, isPrimary, time)
        }
    }

    private mutating func store(
        _ face: Face, _ vector: [Float], _ tidy: String?, _ photo: Photo, _ thumbnail: Data, _ isPrimary: Bool,
        _ time: Timestamp
    ) -> StoredFace {
        if let known = faces.indices.first(where: { faces[$0].photo.sha256 == photo.sha256 && self.vector($0) == vector })
        {
            return assign(known, tidy.map { personID(named: $0, time) }, time)
        }
        let isFirst = isPrimary && !faces.contains { $0.photo.sha256 == photo.sha256 && $0.isPrimary }
        let stored = StoredFace(
            id: UUID().uuidString.lowercased(), person: tidy.map { personID(named: $0, time) }, isPrimary: isFirst,
            photo: photo, face: face, thumbnail: thumbnail, created: time, changed: time
        )
        faces.append(stored)
        vectors += vector
        return stored
    }

    private mutating func assign(_ number: Int, _ person: String?, _ time: Timestamp) -> StoredFace {
        let before = faces[number].person
        if before != person {
            faces[number].person = person
            faces[number].changed = time
            removeIfFaceless(before)
        }
        return faces[number]
    }

    /// Removes a person who has no faces.
    private mutating func removeIfFaceless(_ id: String?) {
        guard let id, !faces.contains(where: { $0.person == id }) else { return }
        people.removeAll { $0.id == id }
        otherIDs = otherIDs.filter { $0.value != id }
    }

    /// Assigns a face to a person, or removes its name.
    ///
    /// - Parameters:
    ///   - id: The id of the face.
    ///   - person: The id of the person, or `nil`.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Throws: `FaceAllError.unknown` if the face or the person does not exist.
    public mutating func assign(face id: String, to person: String?, author: String = "", now: Date = Date()) throws {
        guard let number = faces.firstIndex(where: { $0.id == id }) else {
            throw FaceAllError.unknown("the gallery has no face \(id)")
        }
        let name = try person.map { people[try find(person: $0)].name }
        let details: [String: JSONValue] = ["faces": .integer(1), "person": name.map { .string($0) } ?? .null]
        recording(person == nil ? "unassign" : "assign", author, now, details) { gallery in
            _ = gallery.assign(number, person, Timestamp(now))
        }
    }

    /// Renames a person.
    ///
    /// - Throws: `FaceAllError.unknown` if there is no such person, `badGallery` if the name is taken or not valid.
    public mutating func rename(person id: String, to name: String, author: String = "", now: Date = Date()) throws {
        let number = try find(person: id), tidy = try tidyName(name)
        guard people[number].name != tidy else { return }
        if people.contains(where: { $0.name == tidy && $0.id != id }) {
            throw FaceAllError.badGallery("another person is already called '\(tidy)': merge the two instead")
        }
        let details: [String: JSONValue] = ["old": .string(people[number].name), "new": .string(tidy)]
        recording("rename", author, now, details) { gallery in
            gallery.people[number].name = tidy
            gallery.people[number].isUnnamed = false
            gallery.people[number].changed = Timestamp(now)
        }
    }

    /// Assigns all faces of one person to another and removes the first person.
    ///
    /// - Throws: `FaceAllError.unknown` if one of them does not exist, `badGallery` if both are the same.
    public mutating func merge(person id: String, into other: String, author: String = "", now: Date = Date()) throws {
        let number = try find(person: id), into = try find(person: other)
        guard id != other else { throw FaceAllError.badGallery("a person cannot be merged with themselves") }
        let details: [String: JSONValue] = [
            "old": .string(people[number].name), "into": .string(people[into].name),
            "faces": .integer(Int64(faces(of: id).count)),
        ]
        recording("merge", author, now, details) { gallery in
            for face in gallery.faces.indices where gallery.faces[face].person == id {
                gallery.faces[face].person = other
                gallery.faces[face].changed = Timestamp(now)
            }
            gallery.people.remove(at: number)
            for (key, value) in gallery.otherIDs where value == id {
                gallery.otherIDs[key] = other
            }
            gallery.otherIDs[id] = other
        }
    }

    /// Removes a person and all their faces; `undo` restores them until the bin is emptied.
    ///
    /// - Returns: The number of removed faces.
    /// - Throws: `FaceAllError.unknown` if there is no such person.
    @discardableResult
    public mutating func remove(person id: String, author: String = "", now: Date = Date()) throws -> Int {
        let number = try find(person: id)
        let details: [String: JSONValue] = [
            "person": .string(people[number].name), "faces": .integer(Int64(faces(of: id).count)),
        ]
        return recording("discard", author, now, details) { gallery in
            gallery.people.remove(at: number)
            gallery.otherIDs = gallery.otherIDs.filter { $0.value != id }
            return gallery.drop { $0.person == id }
        }
    }

    /// Removes one face, and its person if they have no other face.
    ///
    /// - Throws: `FaceAllError.unknown` if there is no such face.
    public mutating func remove(face id: String, author: String = "", now: Date = Date()) throws {
        guard let face = faces.first(where: { $0.id == id }) else {
            throw FaceAllError.unknown("the gallery has no face \(id)")
        }
        recording("remove-face", author, now, ["faces": .integer(1)]) { gallery in
            gallery.drop { $0.id == id }
            gallery.removeIfFaceless(face.person)
        }
    }

    @discardableResult
    mutating func drop(_ isGone: (StoredFace) -> Bool) -> Int {
        var keptFaces: [StoredFace] = [], keptVectors: [Float] = []
        for (number, face) in faces.enumerated() {
            if isGone(face) {
                removedFaces.insert(face.id)
            } else {
                keptFaces.append(face)
                keptVectors += vector(number)
            }
        }
        let gone = faces.count - keptFaces.count
        faces = keptFaces
        vectors = keptVectors
        return gone
    }

    func find(person id: String) throws -> Int {
        guard let number = people.firstIndex(where: { $0.id == id }) else {
            throw FaceAllError.unknown("the gallery has no person \(id)")
        }
        return number
    }

    /// Returns the id of the person with a tidy name; creates the person if there is none.
    private mutating func personID(named name: String, _ time: Timestamp) -> String {
        if let known = people.first(where: { $0.name == name }) {
            return known.id
        }
        let person = Person(id: UUID().uuidString.lowercased(), name: name, created: time, changed: time)
        people.append(person)
        return person.id
    }

    // MARK: - Searching

    /// Returns the nearest faces of the gallery, nearest first; ties keep the order of `faces`.
    ///
    /// - Parameters:
    ///   - vector: The embedding to compare, of unit length.
    ///   - count: The maximum number of matches.
    ///   - limit: The largest squared distance of a match, or `nil` for no limit.
    /// - Throws: `FaceAllError.badGallery` if the vector has another dimension or is not of unit length.
    public func search(_ vector: [Float], count: Int, limit: Double? = nil) throws -> [Match] {
        try check(vector)
        let distances = faces.indices.map { squaredDistance(vector, vectors, from: $0 * size) }
        let order = distances.indices.sorted { (distances[$0], $0) < (distances[$1], $1) }
        let known = Dictionary(uniqueKeysWithValues: people.map { ($0.id, $0) })
        return order.prefix(max(count, 0)).filter { limit == nil || Double(distances[$0]) <= limit! }.map { number in
            let face = faces[number]
            return Match(face: face, person: face.person.flatMap { known[$0] }, distance: distances[number])
        }
    }

    /// Returns the nearest face that has a person and lies within the limit, or `nil` if there is none.
    ///
    /// - Parameters:
    ///   - vector: The embedding to compare, of unit length.
    ///   - limit: The largest squared distance; the default is the gallery's threshold, or 1.1 if it has none.
    /// - Throws: `FaceAllError.badGallery` if the vector has another dimension or is not of unit length.
    public func recognise(_ vector: [Float], limit: Double? = nil) throws -> Match? {
        try search(vector, count: faces.count, limit: limit ?? threshold ?? 1.1).first { $0.person != nil }
    }

    // MARK: - Checks

    func check(_ vector: [Float]) throws {
        guard vector.count == size else {
            throw FaceAllError.badGallery("the vector has \(vector.count) dimensions, this gallery expects \(size)")
        }
        let length = sqrt(vector.reduce(0.0) { $0 + Double($1) * Double($1) })
        guard (0.999...1.001).contains(length) else { // also false for NaN
            throw FaceAllError.badGallery("the vector has the length \(length), expected 1")
        }
    }

    func checkThumbnail(_ jpeg: Data) throws {
        guard jpeg.count <= Gallery.largestThumbnail, jpeg.prefix(3).elementsEqual([0xff, 0xd8, 0xff]) else {
            throw FaceAllError.badGallery("a thumbnail is a JPEG of at most 256 KiB, this one is \(jpeg.count) bytes")
        }
    }
}

/// Returns the squared L2 distance of a vector and the vector that starts at index `start` of `others`.
public func squaredDistance(_ vector: [Float], _ others: [Float], from start: Int = 0) -> Float {
    var sum = 0.0
    for place in 0..<vector.count {
        let difference = Double(vector[place]) - Double(others[start + place])
        sum += difference * difference
    }
    return Float(sum)
}
