import Foundation

/// Gallery bundles: a gallery as one file, in the format of `faceall gallery export`.
extension Gallery {
    static let bundleKind = "faceall-gallery-bundle"
    static let bundleFormat = 1
    private static let corrections = "corrections.json" // only if there are judgements or changes
    private static let localPart = "local.json" // only in files written by `save`
    private static let largestFile = 4_000_000_000 // archives have 32-bit offsets

    // MARK: - Reading

    /// Reads a bundle, or a file written by `save(to:)`.
    ///
    /// - Throws: `FaceAllError.badGallery` if it is damaged, `newerFile` if a newer faceall wrote it.
    public init(bundle data: Data) throws {
        let archive = try Archive(data)
        let manifest: BundleManifest = try read("manifest.json", archive)
        guard manifest.kind == Gallery.bundleKind else {
            throw damaged("it is a '\(manifest.kind.prefix(40))', expected a bundle")
        }
        guard manifest.format <= Gallery.bundleFormat else {
            throw FaceAllError.newerFile(
                "the bundle has format \(manifest.format), this version reads up to \(Gallery.bundleFormat):"
                    + " update the app"
            )
        }
        guard manifest.metric == "squared-l2", manifest.faces <= Gallery.mostFaces, manifest.people <= Gallery.mostFaces
        else {
            throw damaged("its metric is not supported or its counts are too large")
        }
        try checkParts(manifest, archive)
        try self.init(model: manifest.model, size: manifest.embeddingSize, threshold: manifest.threshold)
        people = try read("people.json", archive)
        let stored: [BundleFace] = try read("faces.json", archive)
        guard people.count == manifest.people, stored.count == manifest.faces else {
            throw damaged("its numbers of people and faces differ from its manifest")
        }
        try checkPeople()
        vectors = try floats(archive["vectors.f32"] ?? Data())
        guard vectors.count == stored.count * size else { throw damaged("vectors.f32 needs one vector per face") }
        faces = try stored.map { try $0.face(from: archive) }
        try checkFaces()
        if let local = archive[Gallery.localPart] {
            let values: Local = try decode(local, Gallery.localPart)
            otherIDs = values.otherIDs
            removedFaces = Set(values.removedFaces)
            journal.rows = values.rows ?? [:]
            journal.undone = values.undone ?? [:]
        }
        if archive[Gallery.corrections] != nil {
            let corrections: Corrections = try read(Gallery.corrections, archive)
            journal.judgements = corrections.judgements
            journal.changes = corrections.history
        }
    }

    private func checkPeople() throws {
        guard Set(people.map(\.id)).count == people.count, Set(people.map { Array($0.name.utf8) }).count == people.count
        else {
            throw damaged("two people have the same id or the same name")
        }
        for person in people where try tidyName(person.name) != person.name {
            throw damaged("the name '\(person.name)' is not composed or has white space around it")
        }
        for details in people.compactMap(\.details) {
            guard (try? tidyNote(details.note)) == details.note, details.born.map(isCalendarDate) ?? true else {
                throw damaged("the note or the birth date of a person is not valid")
            }
        }
    }

    private func checkFaces() throws {
        let known = Set(people.map(\.id))
        guard Set(faces.map(\.id)).count == faces.count else { throw damaged("two faces have the same id") }
        for (number, face) in faces.enumerated() {
            if let person = face.person, !known.contains(person) {
                throw damaged("face \(face.id) refers to a person who is not in the file")
            }
            try checkThumbnail(face.thumbnail)
            try check(vector(number))
        }
    }

    // MARK: - Writing

    /// Returns the gallery as a bundle for `faceall gallery import`.
    public func bundle() throws -> Data {
        try archive(local: nil).data()
    }

    /// Writes the gallery to a file durably and atomically; `load(from:)` reads it. `GalleryFile` can also encrypt.
    ///
    /// On iOS the file is readable only while the phone is unlocked, because face vectors are personal data.
    public func save(to url: URL) throws {
        try GalleryFile(url).save(self)
    }

    /// Reads a file written by `save(to:)`.
    public static func load(from url: URL) throws -> Gallery {
        try GalleryFile(url).load()
    }

    /// Returns the bytes of a saved file: a bundle, and what only this device needs.
    func savedData() throws -> Data {
        let local = Local(
            otherIDs: otherIDs, removedFaces: removedFaces.sorted(), rows: journal.rows, undone: journal.undone
        )
        return try archive(local: local).data()
    }

    private func archive(local: Local?) throws -> Archive {
        let total = faces.reduce(vectors.count * 4) { $0 + $1.thumbnail.count + 2000 }
        guard total < Gallery.largestFile else {
            throw FaceAllError.badGallery("the gallery of \(total) bytes is too large for one file: remove some faces")
        }
        let order = faces.indices.sorted { faces[$0].id < faces[$1].id }
        let kept = Set(faces.compactMap(\.person))
        let keptPeople = people.filter { kept.contains($0.id) }.sorted { $0.id < $1.id }
        var parts = Archive()
        parts.set("people.json", try encode(keptPeople))
        parts.set("faces.json", try encode(order.map { BundleFace(faces[$0]) }))
        parts.set("vectors.f32", bytes(order.flatMap { vector($0) }))
        if !journal.judgements.isEmpty || !journal.changes.isEmpty {
            let corrections = Corrections(judgements: journal.judgements, history: journal.changes)
            parts.set(Gallery.corrections, try encode(corrections))
        }
        for number in order {
            parts.set(BundleFace.thumbnailName(faces[number].id), faces[number].thumbnail)
        }
        if let local {
            parts.set(Gallery.localPart, try encode(local))
        }
        let manifest = BundleManifest(
            kind: Gallery.bundleKind, format: Gallery.bundleFormat, embeddingSize: size, metric: "squared-l2",
            model: model, threshold: threshold, people: keptPeople.count, faces: faces.count, writer: "FaceAllCore",
            parts: Dictionary(uniqueKeysWithValues: parts.names.map { ($0, BundlePart(parts[$0] ?? Data())) })
        )
        var result = Archive()
        result.set("manifest.json", try encode(manifest))
        for name in parts.names {
            result.set(name, parts[name] ?? Data())
        }
        return result
    }
}

// MARK: - JSON of the parts

private struct BundlePart: Codable {
    let size: Int
    let sha256: String

    init(_ data: Data) {
        size = data.count
        sha256 = FaceAllCore.sha256(data)
    }
}

private struct BundleManifest: Codable {
    let kind: String
    let format: Int
    let embeddingSize: Int
    let metric: String
    let model: GalleryModel
    let threshold: Double?
    let people: Int
    let faces: Int
    let writer: String
    let parts: [String: BundlePart]

    private enum CodingKeys: String, CodingKey {
        case kind, format
        case embeddingSize = "embedding_size"
        case metric, model, threshold, people, faces, writer, parts
    }

    func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        try container.encode(format, forKey: .format)
        try container.encode(embeddingSize, forKey: .embeddingSize)
        try container.encode(metric, forKey: .metric)
        try container.encode(model, forKey: .model)
        try container.encode(threshold, forKey: .threshold) // null if there is none
        try container.encode(people, forKey: .people)
        try container.encode(faces, forKey: .faces)
        try container.encode(writer, forKey: .writer)
        try container.encode(parts, forKey: .parts)
    }
}

private struct BundleFace: Codable {
    let id: String
    let person: String?
    let isPrimary: Bool
    let photo: Photo
    let box: [Float]
    let landmarks: [[Float]]
    let score: Float
    let thumbnail: String
    let created: Timestamp
    let changed: Timestamp
    let hidden: Bool? // only if it is true
    let moment: Moment? // only of a video

    private enum CodingKeys: String, CodingKey {
        case id, person
        case isPrimary = "chief"
        case photo, box, landmarks, score, thumbnail, created, changed, hidden, moment
    }

    static func thumbnailName(_ id: String) -> String { "thumbnails/\(id).jpg" }

    init(_ stored: StoredFace) {
        id = stored.id
        person = stored.person
        isPrimary = stored.isPrimary
        photo = stored.photo
        box = [stored.face.box.x0, stored.face.box.y0, stored.face.box.x1, stored.face.box.y1]
        landmarks = stored.face.landmarks.map { [$0.x, $0.y] }
        score = stored.face.score
        thumbnail = BundleFace.thumbnailName(stored.id)
        created = stored.created
        changed = stored.changed
        hidden = stored.hidden ? true : nil
        moment = stored.moment
    }

    func face(from archive: Archive) throws -> StoredFace {
        let fits = box.count == 4 && landmarks.count == 5 && landmarks.allSatisfy { $0.count == 2 }
        guard fits, box[0] < box[2], box[1] < box[3], (0...1).contains(score) else {
            throw damaged("face \(id) has an invalid box, landmarks or score")
        }
        guard let jpeg = archive[thumbnail] else { throw damaged("face \(id) has no thumbnail") }
        return StoredFace(
            id: id, person: person, isPrimary: isPrimary, photo: photo,
            face: Face(
                box: Box(x0: box[0], y0: box[1], x1: box[2], y1: box[3]), score: score,
                landmarks: landmarks.map { Point(x: $0[0], y: $0[1]) }
            ),
            thumbnail: jpeg, created: created, changed: changed, hidden: hidden ?? false, moment: moment
        )
    }

    func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(person, forKey: .person) // null if unassigned
        try container.encode(isPrimary, forKey: .isPrimary)
        try container.encode(photo, forKey: .photo)
        try container.encode(box, forKey: .box)
        try container.encode(landmarks, forKey: .landmarks)
        try container.encode(score, forKey: .score)
        try container.encode(thumbnail, forKey: .thumbnail)
        try container.encode(created, forKey: .created)
        try container.encode(changed, forKey: .changed)
        try container.encodeIfPresent(hidden, forKey: .hidden)
        try container.encodeIfPresent(moment, forKey: .moment)
    }
}

/// What `save(to:)` stores in addition to a bundle.
private struct Local: Codable {
    let otherIDs: [String: String]
    let removedFaces: [String]
    let rows: [String: ChangeRows]? // not in files of older versions
    let undone: [String: String]?
}

/// The content of corrections.json.
private struct Corrections: Codable {
    let judgements: [Judgement]
    let history: [Change]
}

// MARK: - Helpers

private func checkParts(_ manifest: BundleManifest, _ archive: Archive) throws {
    let expected = Set(manifest.parts.keys), found = Set(archive.names).subtracting(["manifest.json"])
    guard expected == found else {
        let one = expected.symmetricDifference(found).sorted().first ?? ""
        throw damaged("'\(one.prefix(80))' is only in the archive or only in its manifest")
    }
    for (name, part) in manifest.parts {
        let content = archive[name] ?? Data()
        guard content.count == part.size, sha256(content) == part.sha256 else {
            throw damaged("'\(name)' differs from the manifest")
        }
    }
}

private func read<Value: Decodable>(_ name: String, _ archive: Archive) throws -> Value {
    guard let content = archive[name] else { throw damaged("'\(name)' is missing") }
    return try decode(content, name)
}

private func decode<Value: Decodable>(_ data: Data, _ name: String) throws -> Value {
    do {
        return try JSONDecoder().decode(Value.self, from: data)
    } catch let error as DecodingError {
        throw damaged("\(name): \(firstProblem(error))")
    }
}

private func encode<Value: Encodable>(_ value: Value) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
}

/// Returns values as little-endian float32.
func bytes(_ numbers: [Float]) -> Data {
    var result = Data(capacity: numbers.count * 4)
    for number in numbers {
        withUnsafeBytes(of: number.bitPattern.littleEndian) { result.append(contentsOf: $0) }
    }
    return result
}

/// Returns the values of little-endian float32.
func floats(_ data: Data) throws -> [Float] {
    guard data.count % 4 == 0 else { throw damaged("vectors.f32 is not a whole number of float32 values") }
    return data.withUnsafeBytes { bytes in
        (0..<(data.count / 4)).map { number in
            Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: number * 4, as: UInt32.self)))
        }
    }
}

private func damaged(_ what: String) -> FaceAllError {
    .badGallery("the gallery's file is damaged: \(what)")
}
