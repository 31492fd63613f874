import Foundation

/// Who is known: people, their faces and the vectors of these. A value: copy it, change it, save it.
public struct Gallery: Equatable, Sendable {
    /// The most faces, and the most people, that a bundle carries.
    public static let mostFaces = 60_000
    static let largestThumbnail = 256 * 1024

    public let model: GalleryModel
    /// How many numbers a vector has.
    public let size: Int
    /// The squared distance up to which two faces count as one person; nil where none is known.
    public let threshold: Double?
    public internal(set) var people: [Person] = []
    public internal(set) var faces: [StoredFace] = []
    /// size numbers for each face, in the order of the faces.
    var vectors: [Float] = []
    /// Ids that a person is known by besides their own, from merges.
    var otherIDs: [String: String] = [:]
    /// Faces that were removed here and stay away when a bundle brings them again.
    var removedFaces: Set<String> = []

    /// An empty gallery.
    ///
    /// - Throws: `FaceAllError.badGallery` for a size out of 1...4096 or a threshold out of 0...4.
    public init(model: GalleryModel, size: Int, threshold: Double?) throws {
        guard (1...4096).contains(size), threshold.map({ (0...4).contains($0) }) ?? true else {
            throw FaceAllError.badGallery(
                "vectors of \(size) numbers and a threshold of \(threshold ?? 0), expected 1...4096 and 0...4"
            )
        }
        self.model = model
        self.size = size
        self.threshold = threshold
    }

    /// The vector of the face with that number in `faces`.
    public func vector(_ number: Int) -> [Float] {
        Array(vectors[(number * size)..<((number + 1) * size)])
    }

    /// The person of that id.
    public func person(_ id: String) -> Person? {
        people.first { $0.id == id }
    }

    /// The faces of a person.
    public func faces(of person: String) -> [StoredFace] {
        faces.filter { $0.person == person }
    }

    // MARK: - Changing

    /// Take up a face, filed under somebody; a person of that name is made where there is none. The same vector of the
    /// same photo is one face: it is filed anew.
    ///
    /// - Parameters:
    ///   - vector: what the model made of it, of unit length
    ///   - name: whose face it is; nil: nobody's
    ///   - photo: the picture that it was found in
    ///   - thumbnail: a JPEG of at most 256 KiB
    ///   - chief: whether the picture is of this face
    /// - Throws: `FaceAllError.badGallery` where something does not fit.
    @discardableResult
    public mutating func enrol(
        _ face: Face, vector: [Float], name: String?, photo: Photo, thumbnail: Data, chief: Bool = true,
        now: Date = Date()
    ) throws -> StoredFace {
        let time = Timestamp(now)
        try check(vector)
        try checkThumbnail(thumbnail)
        guard faces.count < Gallery.mostFaces else {
            throw FaceAllError.badGallery("the gallery is full: it holds \(faces.count) faces")
        }
        let tidy = try name.map(tidyName)
        if let known = faces.indices.first(where: { faces[$0].photo.sha256 == photo.sha256 && self.vector($0) == vector })
        {
            return refile(known, tidy.map { personID(named: $0, time) }, time)
        }
        let isChief = chief && !faces.contains { $0.photo.sha256 == photo.sha256 && $0.chief }
        let stored = StoredFace(
            id: UUID().uuidString.lowercased(), person: tidy.map { personID(named: $0, time) }, chief: isChief,
            photo: photo, face: face, thumbnail: thumbnail, created: time, changed: time
        )
        faces.append(stored)
        vectors += vector
        return stored
    }

    private mutating func refile(_ number: Int, _ person: String?, _ time: Timestamp) -> StoredFace {
        let before = faces[number].person
        if before != person {
            faces[number].person = person
            faces[number].changed = time
            forgetIfFaceless(before)
        }
        return faces[number]
    }

    /// People without a face are nobody's concern.
    private mutating func forgetIfFaceless(_ id: String?) {
        guard let id, !faces.contains(where: { $0.person == id }) else { return }
        people.removeAll { $0.id == id }
        otherIDs = otherIDs.filter { $0.value != id }
    }

    /// Give a person another name, which nobody else has.
    public mutating func rename(person id: String, to name: String, now: Date = Date()) throws {
        let number = try find(person: id), tidy = try tidyName(name)
        guard people[number].name != tidy else { return }
        if people.contains(where: { $0.name == tidy && $0.id != id }) {
            throw FaceAllError.badGallery("there is a person called '\(tidy)' already: merge the two instead")
        }
        people[number].name = tidy
        people[number].changed = Timestamp(now)
    }

    /// File every face of one person under another; the first is gone then.
    public mutating func merge(person id: String, into other: String, now: Date = Date()) throws {
        let number = try find(person: id)
        _ = try find(person: other)
        guard id != other else { throw FaceAllError.badGallery("a person cannot be merged with themselves") }
        for face in faces.indices where faces[face].person == id {
            faces[face].person = other
            faces[face].changed = Timestamp(now)
        }
        people.remove(at: number)
        for (key, value) in otherIDs where value == id {
            otherIDs[key] = other
        }
        otherIDs[id] = other
    }

    /// Remove a person with every face of theirs; returns how many faces went.
    @discardableResult
    public mutating func remove(person id: String) throws -> Int {
        let number = try find(person: id)
        people.remove(at: number)
        otherIDs = otherIDs.filter { $0.value != id }
        return drop { $0.person == id }
    }

    /// Remove one face, and the person whose last one it was.
    public mutating func remove(face id: String) throws {
        guard let face = faces.first(where: { $0.id == id }) else {
            throw FaceAllError.unknown("the gallery has no face \(id)")
        }
        drop { $0.id == id }
        forgetIfFaceless(face.person)
    }

    @discardableResult
    private mutating func drop(_ isGone: (StoredFace) -> Bool) -> Int {
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

    private func find(person id: String) throws -> Int {
        guard let number = people.firstIndex(where: { $0.id == id }) else {
            throw FaceAllError.unknown("nobody in the gallery has the id \(id)")
        }
        return number
    }

    /// The id of the person of a tidy name, who is made where there is none.
    private mutating func personID(named name: String, _ time: Timestamp) -> String {
        if let known = people.first(where: { $0.name == name }) {
            return known.id
        }
        let person = Person(id: UUID().uuidString.lowercased(), name: name, created: time, changed: time)
        people.append(person)
        return person.id
    }

    // MARK: - Searching

    /// The nearest faces of the gallery, nearest first; of equal ones the earlier is first.
    ///
    /// - Parameters:
    ///   - count: at most so many
    ///   - limit: none that is farther than this squared distance; nil: any
    /// - Throws: `FaceAllError.badGallery` for a vector of another size or length.
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

    /// Who this is: the person of the nearest face that is near enough.
    ///
    /// - Parameter limit: the squared distance; nil: the gallery's threshold, and 1.1 where it has none
    public func recognise(_ vector: [Float], limit: Double? = nil) throws -> Match? {
        try search(vector, count: faces.count, limit: limit ?? threshold ?? 1.1).first { $0.person != nil }
    }

    // MARK: - Checks

    func check(_ vector: [Float]) throws {
        guard vector.count == size else {
            throw FaceAllError.badGallery("the vector has \(vector.count) numbers, this gallery's have \(size)")
        }
        let length = sqrt(vector.reduce(0.0) { $0 + Double($1) * Double($1) })
        guard (0.999...1.001).contains(length) else { // false for a NaN, too
            throw FaceAllError.badGallery("the vector has the length \(length), expected 1")
        }
    }

    func checkThumbnail(_ jpeg: Data) throws {
        guard jpeg.count <= Gallery.largestThumbnail, jpeg.prefix(3).elementsEqual([0xff, 0xd8, 0xff]) else {
            throw FaceAllError.badGallery("a thumbnail is a JPEG of at most 256 KiB, this one is \(jpeg.count) bytes")
        }
    }
}

/// The squared L2 distance of a vector and the one that starts at a place in `others`.
public func squaredDistance(_ vector: [Float], _ others: [Float], from start: Int = 0) -> Float {
    var sum = 0.0
    for place in 0..<vector.count {
        let difference = Double(vector[place]) - Double(others[start + place])
        sum += difference * difference
    }
    return Float(sum)
}
