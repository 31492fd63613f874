import Foundation

/// Taking in what another gallery has: a bundle from a server, or from another phone. It adds, it never removes.
extension Gallery {
    /// Merge another gallery of the same model into this one.
    ///
    /// The same id is the same person, else the same name is; where one id has two names the later change wins. A face of
    /// the same id, or of the same vector in the same photo, is not doubled. Faces that were removed here stay away
    /// unless they are restored. An error leaves this gallery as it was.
    ///
    /// - Throws: `FaceAllError.otherModel` where the vectors are another model's.
    public mutating func merge(_ other: Gallery, restore: Bool = false) throws -> MergeReport {
        guard model.fingerprint == other.model.fingerprint, size == other.size else {
            throw FaceAllError.otherModel(
                "the bundle was made with '\(other.model.name)', this gallery with '\(model.name)':"
                    + " their vectors cannot be compared"
            )
        }
        var merger = Merger(self)
        merger.take(other, restore: restore)
        guard merger.gallery.faces.count <= Gallery.mostFaces else {
            throw FaceAllError.badGallery(
                "there would be \(merger.gallery.faces.count) faces, at most \(Gallery.mostFaces) fit"
            )
        }
        self = merger.gallery
        return merger.report
    }
}

/// A merge under way: the gallery, and where in it everybody stands.
private struct Merger {
    private(set) var gallery: Gallery
    private(set) var report = MergeReport()
    private var people: [String: Int] = [:] // id -> number
    private var names: [String: Int] = [:]
    private var faces: [String: Int] = [:]
    private var photos: [String: [Int]] = [:] // SHA-256 -> numbers of faces

    init(_ gallery: Gallery) {
        self.gallery = gallery
        for (number, person) in gallery.people.enumerated() {
            people[person.id] = number
            names[person.name] = number
        }
        for (number, face) in gallery.faces.enumerated() {
            faces[face.id] = number
            photos[face.photo.sha256, default: []].append(number)
        }
    }

    mutating func take(_ other: Gallery, restore: Bool) {
        let taken = other.faces.indices.filter { restore || !gallery.removedFaces.contains(other.faces[$0].id) }
        let needed = Set(taken.compactMap { other.faces[$0].person })
        var owners: [String: String] = [:] // the id there -> the id here
        for person in other.people where needed.contains(person.id) {
            owners[person.id] = take(person)
        }
        for number in taken {
            let face = other.faces[number]
            take(face, other.vector(number), owner: face.person.flatMap { owners[$0] })
        }
        let filed = Set(gallery.faces.compactMap(\.person))
        gallery.people.removeAll { !filed.contains($0.id) } // whose last face is somebody else's now
    }

    /// The id that a person of another gallery has here.
    private mutating func take(_ person: Person) -> String {
        let id = gallery.otherIDs[person.id] ?? person.id
        if let number = people[id] {
            settleName(of: number, person)
            return id
        }
        if let number = names[person.name] {
            let known = gallery.people[number].id
            gallery.otherIDs[person.id] = known
            return known
        }
        people[person.id] = gallery.people.count
        names[person.name] = gallery.people.count
        gallery.people.append(person)
        report.people += 1
        return person.id
    }

    private mutating func settleName(of number: Int, _ person: Person) {
        let here = gallery.people[number]
        guard here.name != person.name, here.id == person.id else { return }
        if person.changed > here.changed && names[person.name] == nil {
            names[here.name] = nil
            names[person.name] = number
            gallery.people[number].name = person.name
            gallery.people[number].changed = person.changed
        }
        let kept = gallery.people[number].name
        report.conflicts.append("'\(here.name)' is called '\(person.name)' in the bundle: kept '\(kept)'")
    }

    private mutating func take(_ face: StoredFace, _ vector: [Float], owner: String?) {
        let ofPhoto = photos[face.photo.sha256] ?? []
        if let known = faces[face.id] ?? ofPhoto.first(where: { gallery.vector($0) == vector }) {
            settleOwner(of: known, face, owner)
            return
        }
        let isChief = face.chief && !ofPhoto.contains { gallery.faces[$0].chief }
        let number = gallery.faces.count
        gallery.faces.append(StoredFace(
            id: face.id, person: owner, chief: isChief, photo: face.photo, face: face.face,
            thumbnail: face.thumbnail, created: face.created, changed: face.changed
        ))
        gallery.vectors += vector
        gallery.removedFaces.remove(face.id)
        faces[face.id] = number
        photos[face.photo.sha256, default: []].append(number)
        report.faces += 1
    }

    private mutating func settleOwner(of number: Int, _ face: StoredFace, _ owner: String?) {
        let here = gallery.faces[number]
        guard here.person != owner else { return }
        if face.changed > here.changed {
            gallery.faces[number].person = owner
            gallery.faces[number].changed = face.changed
        }
        let kept = gallery.faces[number].person.flatMap { gallery.person($0)?.name } ?? "nobody"
        report.conflicts.append("a face of \(here.photo.name) is filed under two people: kept \(kept)")
    }
}
