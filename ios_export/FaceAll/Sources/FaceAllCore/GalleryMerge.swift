import Foundation

/// Merging another gallery into this one, such as a bundle of a server or of another phone.
extension Gallery {
    /// Merges another gallery of the same model into this one; adds faces and people, and removes none.
    ///
    /// People are identified by id first and then by name, groups without a name by id only. If one id has two names, the
    /// later change wins. A face with the same id, or with the same vector in the same photo, is not added again. If an
    /// error is thrown, this gallery is unchanged.
    ///
    /// - Parameters:
    ///   - other: The gallery to add.
    ///   - restore: Whether to add faces that were removed from this gallery.
    /// - Returns: What the merge changed.
    /// - Throws: `FaceAllError.otherModel` if the galleries have different models, `badGallery` if there are too many
    ///   faces.
    public mutating func merge(_ other: Gallery, restore: Bool = false) throws -> MergeReport {
        guard model.fingerprint == other.model.fingerprint, size == other.size else {
            throw FaceAllError.otherModel(
                "the bundle was made with '\(other.model.name)', this gallery with '\(model.name)':"
                    + " their vectors cannot be compared"
            )
        }
        var merger = Merger(self)
        merger.add(other, restore: restore)
        guard merger.gallery.faces.count <= Gallery.mostFaces else {
            throw FaceAllError.badGallery(
                "the merged gallery has \(merger.gallery.faces.count) faces, expected at most \(Gallery.mostFaces)"
            )
        }
        self = merger.gallery
        add(other.journal)
        return merger.report
    }
}

/// The state of a merge: the gallery, and the indices of its people and faces.
private struct Merger {
    private(set) var gallery: Gallery
    private(set) var report = MergeReport()
    private var people: [String: Int] = [:] // id -> index
    private var names: [String: Int] = [:]
    private var faces: [String: Int] = [:]
    private var photos: [String: [Int]] = [:] // SHA-256 -> indices of faces
    private var lastGroup = 0

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

    mutating func add(_ other: Gallery, restore: Bool) {
        let added = other.faces.indices.filter { restore || !gallery.removedFaces.contains(other.faces[$0].id) }
        let needed = Set(added.compactMap { other.faces[$0].person })
        var owners: [String: String] = [:] // id in the other gallery -> id in this one
        for person in other.people where needed.contains(person.id) {
            owners[person.id] = add(person)
        }
        for number in added {
            let face = other.faces[number]
            add(face, other.vector(number), owner: face.person.flatMap { owners[$0] })
        }
        let assigned = Set(gallery.faces.compactMap(\.person))
        gallery.people.removeAll { !assigned.contains($0.id) } // no faces left
    }

    /// Returns the id of a person of the other gallery in this one; adds the person if necessary.
    private mutating func add(_ person: Person) -> String {
        let id = gallery.otherIDs[person.id] ?? person.id
        if let number = people[id] {
            resolveName(of: number, person)
            resolveDetails(of: number, person)
            return id
        }
        if !person.isUnnamed, let number = names[person.name] {
            let known = gallery.people[number].id
            gallery.otherIDs[person.id] = known
            resolveDetails(of: number, person)
            return known
        }
        var added = person
        if person.isUnnamed {
            added.name = freeGroupName()
        }
        people[added.id] = gallery.people.count
        names[added.name] = gallery.people.count
        gallery.people.append(added)
        report.people += 1
        return added.id
    }

    /// Returns a name for another group: the numbers of two galleries mean different groups.
    private mutating func freeGroupName() -> String {
        repeat {
            lastGroup += 1
        } while names["unnamed \(lastGroup)"] != nil
        return "unnamed \(lastGroup)"
    }

    private mutating func resolveName(of number: Int, _ person: Person) {
        let here = gallery.people[number]
        guard here.name != person.name, here.id == person.id, !person.isUnnamed else { return }
        if here.isUnnamed || person.changed > here.changed, names[person.name] == nil {
            names[here.name] = nil
            names[person.name] = number
            gallery.people[number].name = person.name
            gallery.people[number].isUnnamed = false
            gallery.people[number].changed = person.changed
            if here.isUnnamed {
                return
            }
        }
        let kept = gallery.people[number].name
        report.conflicts.append("'\(here.name)' is called '\(person.name)' in the bundle: kept '\(kept)'")
    }

    /// Takes the details of the other gallery if they were changed later.
    private mutating func resolveDetails(of number: Int, _ person: Person) {
        guard let there = person.details else { return }
        let here = gallery.people[number].details
        if here?.says(there) ?? false {
            return
        }
        if here.map({ $0.changed < there.changed }) ?? true {
            gallery.people[number].details = there
        } else {
            report.conflicts.append(
                "note, birth date, cover or hiding of '\(gallery.people[number].name)' differ in the bundle: kept those here"
            )
        }
    }

    private mutating func add(_ face: StoredFace, _ vector: [Float], owner: String?) {
        let ofPhoto = photos[face.photo.sha256] ?? []
        if let known = faces[face.id] ?? ofPhoto.first(where: { gallery.vector($0) == vector }) {
            completePhoto(of: known, face.photo)
            resolveOwner(of: known, face, owner)
            return
        }
        let isPrimary = face.isPrimary && !ofPhoto.contains { gallery.faces[$0].isPrimary }
        let number = gallery.faces.count
        gallery.faces.append(StoredFace(
            id: face.id, person: owner, isPrimary: isPrimary, photo: face.photo, face: face.face,
            thumbnail: face.thumbnail, created: face.created, changed: face.changed, hidden: face.hidden,
            moment: face.moment
        ))
        gallery.vectors += vector
        gallery.removedFaces.remove(face.id)
        faces[face.id] = number
        photos[face.photo.sha256, default: []].append(number)
        report.faces += 1
    }

    /// Takes time and camera of a photo if this gallery does not know them.
    private mutating func completePhoto(of number: Int, _ photo: Photo) {
        let here = gallery.faces[number].photo
        gallery.faces[number].photo.taken = here.taken ?? photo.taken
        gallery.faces[number].photo.camera = here.camera ?? photo.camera
    }

    private mutating func resolveOwner(of number: Int, _ face: StoredFace, _ owner: String?) {
        let here = gallery.faces[number]
        guard here.person != owner else { return }
        if face.changed > here.changed {
            gallery.faces[number].person = owner
            gallery.faces[number].changed = face.changed
        }
        let kept = gallery.faces[number].person.flatMap { gallery.person($0)?.name } ?? "no person"
        report.conflicts.append("a face of \(here.photo.name) is assigned to two people: kept \(kept)")
    }
}
