import Foundation

/// Gallery bundles: one file that carries a gallery to another machine and back, as `faceall gallery export` writes it.
extension Gallery {
    static let bundleKind = "faceall-gallery-bundle"
    static let bundleFormat = 1
    private static let localPart = "local.json" // in the phone's own file alone
    private static let largestFile = 4_000_000_000 // an archive counts in 32 bits

    // MARK: - Reading

    /// Read a bundle, or the file that `save` wrote.
    ///
    /// - Throws: `FaceAllError.badGallery` where it is damaged, `newerFile` where a newer faceall wrote it.
    public init(bundle data: Data) throws {
        let archive = try Archive(data)
        let manifest: BundleManifest = try read("manifest.json", archive)
        guard manifest.kind == Gallery.bundleKind else { throw damaged("it is a '\(manifest.kind.prefix(40))'") }
        guard manifest.format <= Gallery.bundleFormat else {
            throw FaceAllError.newerFile(
                "the bundle has format \(manifest.format), this version reads up to \(Gallery.bundleFormat):"
                    + " update the app"
            )
        }
        guard manifest.metric == "squared-l2", manifest.faces <= Gallery.mostFaces, manifest.people <= Gallery.mostFaces
        else {
            throw damaged("its metric or its counts are not what was expected")
        }
        try checkParts(manifest, archive)
        try self.init(model: manifest.model, size: manifest.embeddingSize, threshold: manifest.threshold)
        people = try read("people.json", archive)
        let stored: [BundleFace] = try read("faces.json", archive)
        guard people.count == manifest.people, stored.count == manifest.faces else {
            throw damaged("it does not hold as many people and faces as it says")
        }
        try checkPeople()
        vectors = try floats(archive["vectors.f32"] ?? Data())
        guard vectors.count == stored.count * size else { throw damaged("vectors.f32 has not one vector per face") }
        faces = try stored.map { try $0.face(from: archive) }
        try checkFaces()
        if let local = archive[Gallery.localPart] {
            let values: Local = try decode(local, Gallery.localPart)
            otherIDs = values.otherIDs
            removedFaces = Set(values.removedFaces)
        }
    }

    private func checkPeople() throws {
        guard Set(people.map(\.id)).count == people.count, Set(people.map { Array($0.name.utf8) }).count == people.count
        else {
            throw damaged("two people have one id or one name")
        }
        for person in people where try tidyName(person.name) != person.name {
            throw damaged("the name '\(person.name)' is not composed or has white space around it")
        }
    }

    private func checkFaces() throws {
        let known = Set(people.map(\.id))
        guard Set(faces.map(\.id)).count == faces.count else { throw damaged("two faces have one id") }
        for (number, face) in faces.enumerated() {
            if let person = face.person, !known.contains(person) {
                throw damaged("face \(face.id) belongs to a person who is not in it")
            }
            try checkThumbnail(face.thumbnail)
            try check(vector(number))
        }
    }

    // MARK: - Writing

    /// The gallery as a bundle for `faceall gallery import`.
    public func bundle() throws -> Data {
        try archive(local: nil).data()
    }

    /// Write the gallery where `load` finds it: whole, or not at all.
    ///
    /// On iOS the file is readable only while the phone is unlocked: vectors of faces are personal.
    public func save(to url: URL) throws {
        let local = Local(otherIDs: otherIDs, removedFaces: removedFaces.sorted())
        let data = try archive(local: local).data()
        #if os(iOS)
        try data.write(to: url, options: [.atomic, .completeFileProtection])
        #else
        try data.write(to: url, options: .atomic)
        #endif
    }

    /// Read the file that `save` wrote.
    public static func load(from url: URL) throws -> Gallery {
        try Gallery(bundle: try Data(contentsOf: url))
    }

    private func archive(local: Local?) throws -> Archive {
        let total = faces.reduce(vectors.count * 4) { $0 + $1.thumbnail.count + 2000 }
        guard total < Gallery.largestFile else {
            throw FaceAllError.badGallery("a gallery of \(total) bytes does not fit into one file, remove some faces")
        }
        let order = faces.indices.sorted { faces[$0].id < faces[$1].id }
        let kept = Set(faces.compactMap(\.person))
        let everybody = people.filter { kept.contains($0.id) }.sorted { $0.id < $1.id }
        var parts = Archive()
        parts.set("people.json", try encode(everybody))
        parts.set("faces.json", try encode(order.map { BundleFace(faces[$0]) }))
        parts.set("vectors.f32", bytes(order.flatMap { vector($0) }))
        for number in order {
            parts.set(BundleFace.thumbnailName(faces[number].id), faces[number].thumbnail)
        }
        if let local {
            parts.set(Gallery.localPart, try encode(local))
        }
        let manifest = BundleManifest(
            kind: Gallery.bundleKind, format: Gallery.bundleFormat, embeddingSize: size, metric: "squared-l2",
            model: model, threshold: threshold, people: everybody.count, faces: faces.count, writer: "FaceAllCore",
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

// MARK: - What stands in the parts

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
        try container.encode(threshold, forKey: .threshold) // null where there is none
        try container.encode(people, forKey: .people)
        try container.encode(faces, forKey: .faces)
        try container.encode(writer, forKey: .writer)
        try container.encode(parts, forKey: .parts)
    }
}

private struct BundleFace: Codable {
    let id: String
    let person: String?
    let chief: Bool
    let photo: Photo
    let box: [Float]
    let landmarks: [[Float]]
    let score: Float
    let thumbnail: String
    let created: Timestamp
    let changed: Timestamp

    static func thumbnailName(_ id: String) -> String { "thumbnails/\(id).jpg" }

    init(_ stored: StoredFace) {
        id = stored.id
        person = stored.person
        chief = stored.chief
        photo = stored.photo
        box = [stored.face.box.x0, stored.face.box.y0, stored.face.box.x1, stored.face.box.y1]
        landmarks = stored.face.landmarks.map { [$0.x, $0.y] }
        score = stored.face.score
        thumbnail = BundleFace.thumbnailName(stored.id)
        created = stored.created
        changed = stored.changed
    }

    func face(from archive: Archive) throws -> StoredFace {
        let fits = box.count == 4 && landmarks.count == 5 && landmarks.allSatisfy { $0.count == 2 }
        guard fits, box[0] < box[2], box[1] < box[3], (0...1).contains(score) else {
            throw damaged("face \(id) has a box, landmarks or a score that no face has")
        }
        guard let jpeg = archive[thumbnail] else { throw damaged("face \(id) has no thumbnail") }
        return StoredFace(
            id: id, person: person, chief: chief, photo: photo,
            face: Face(
                box: Box(x0: box[0], y0: box[1], x1: box[2], y1: box[3]), score: score,
                landmarks: landmarks.map { Point(x: $0[0], y: $0[1]) }
            ),
            thumbnail: jpeg, created: created, changed: changed
        )
    }

    func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(person, forKey: .person) // null where nobody
        try container.encode(chief, forKey: .chief)
        try container.encode(photo, forKey: .photo)
        try container.encode(box, forKey: .box)
        try container.encode(landmarks, forKey: .landmarks)
        try container.encode(score, forKey: .score)
        try container.encode(thumbnail, forKey: .thumbnail)
        try container.encode(created, forKey: .created)
        try container.encode(changed, forKey: .changed)
    }
}

/// What a phone remembers besides what a bundle carries.
private struct Local: Codable {
    let otherIDs: [String: String]
    let removedFaces: [String]
}

// MARK: - Pieces

private func checkParts(_ manifest: BundleManifest, _ archive: Archive) throws {
    let expected = Set(manifest.parts.keys), found = Set(archive.names).subtracting(["manifest.json"])
    guard expected == found else {
        let one = expected.symmetricDifference(found).sorted().first ?? ""
        throw damaged("'\(one.prefix(80))' is in the archive or in its manifest, expected in both")
    }
    for (name, part) in manifest.parts {
        let content = archive[name] ?? Data()
        guard content.count == part.size, sha256(content) == part.sha256 else {
            throw damaged("'\(name)' is not what the manifest says")
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

/// Numbers as little-endian float32.
func bytes(_ numbers: [Float]) -> Data {
    var result = Data(capacity: numbers.count * 4)
    for number in numbers {
        withUnsafeBytes(of: number.bitPattern.littleEndian) { result.append(contentsOf: $0) }
    }
    return result
}

/// Numbers from little-endian float32.
func floats(_ data: Data) throws -> [Float] {
    guard data.count % 4 == 0 else { throw damaged("vectors.f32 ends in the middle of a number") }
    return data.withUnsafeBytes { bytes in
        (0..<(data.count / 4)).map { number in
            Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: number * 4, as: UInt32.self)))
        }
    }
}

private func damaged(_ what: String) -> FaceAllError {
    .badGallery("the gallery's file is damaged: \(what)")
}
