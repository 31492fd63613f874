import Foundation

/// Taking in what another gallery has: a bundle from a server, or from another phone. It adds, it never removes.
extension Gallery {
    /// Merge another gallery of the same model into this one.
    ///
    /// The same id is the same person, else the same name is; where one id has two names the later change wins. A face of
    /// the same id, or of the same vector in the same photo, is not doubled. Faces that were removed here stay away
    /// unless they are restored.
    ///
    /// - Throws: `FaceAllError.otherModel` where the vectors are another model's.
    public mutating func merge(_ other: Gallery, restore: Bool = false) throws -> MergeReport {
        guard model.fingerprint == other.model.fingerprint, size == other.size else {
            throw FaceAllError.otherModel(
                "the bundle was made with '\(other.model.name)', this gallery with '\(model.name)':"
                    + " their vectors cannot be compared"
            )
        }
        var report = MergeReport()
        var merged = self // all or nothing
        let taken = other.faces.indices.filter { restore || !merged.removedFaces.contains(other.faces[$0].id) }
        let needed = Set(taken.compactMap { other.faces[$0].person })
        var ids: [String: String] = [:]
        for person in other.people where needed.contains(person.id) {
            ids[person.id] = merged.takeUp(person, &report)
        }
        for number in taken {
            try merged.takeUp(other.faces[number], other.vector(number), ids, &report)
        }
        guard merged.faces.count <= Gallery.mostFaces else {
            throw FaceAllError.badGallery("there would be \(merged.faces.count) faces, at most \(Gallery.mostFaces) fit")
        }
        self = merged
        return report
    }

    /// The id that a person of another gallery has here.
    private mutating func takeUp(_ person: Person, _ report: inout MergeReport) -> String {
        let id = otherIDs[person.id] ?? person.id
        if let number = people.firstIndex(where: { $0.id == id }) {
            settleName(of: number, person, &report)
            return id
        }
        if let known = people.first(where: { $0.name == person.name }) {
            otherIDs[person.id] = known.id
            return known.id
        }
        people.append(person)
        report.people += 1
        return person.id
    }

    private mutating func settleName(of number: Int, _ person: Person, _ report: inout MergeReport) {
        let here = people[number]
        guard here.name != person.name, here.id == person.id else { return }
        let isFree = !people.contains { $0.name == person.name }
        if person.changed > here.changed && isFree {
            people[number].name = person.name
            people[number].changed = person.changed
        }
        report.conflicts.append(
            "'\(here.name)' is called '\(person.name)' in the bundle: kept '\(people[number].name)'"
        )
    }

    private mutating func takeUp(
        _ face: StoredFace, _ vector: [Float], _ ids: [String: String], _ report: inout MergeReport
    ) throws {
        let owner = face.person.flatMap { ids[$0] }
        let known = faces.indices.first { number in
            faces[number].id == face.id
                || (faces[number].photo.sha256 == face.photo.sha256 && self.vector(number) == vector)
        }
        if let known {
            settleOwner(of: known, face, owner, &report)
            return
        }
        let hasChief = faces.contains { $0.photo.sha256 == face.photo.sha256 && $0.chief }
        faces.append(StoredFace(
            id: face.id, person: owner, chief: face.chief && !hasChief, photo: face.photo, face: face.face,
            thumbnail: face.thumbnail, created: face.created, changed: face.changed
        ))
        vectors += vector
        removedFaces.remove(face.id)
        report.faces += 1
    }

    private mutating func settleOwner(
        of number: Int, _ face: StoredFace, _ owner: String?, _ report: inout MergeReport
    ) {
        let here = faces[number]
        guard here.person != owner else { return }
        if face.changed > here.changed {
            faces[number].person = owner
            faces[number].changed = face.changed
        }
        let kept = faces[number].person.flatMap { person($0)?.name } ?? "nobody"
        report.conflicts.append("a face of \(here.photo.name) is filed under two people: kept \(kept)")
        forgetFaceless()
    }

    /// People whose last face has been filed under somebody else are gone.
    private mutating func forgetFaceless() {
        let owners = Set(faces.compactMap(\.person))
        people.removeAll { !owners.contains($0.id) }
    }
}
