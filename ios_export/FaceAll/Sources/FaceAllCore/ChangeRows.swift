import Foundation

/// A face that was removed, with everything that undoing needs.
struct BinnedFace: Equatable, Sendable, Codable {
    let face: StoredFace
    let vector: [Float]
}

/// The values that one change replaced, and the new ones.
struct ChangeRows: Equatable, Sendable, Codable {
    struct Value<Content: Equatable & Sendable & Codable>: Equatable, Sendable, Codable {
        let before: Content?
        let after: Content?
    }

    /// Id of a person -> their name and details.
    var people: [String: Value<Person>] = [:]
    /// Id of a face -> the id of its person.
    var owners: [String: Value<String>] = [:]
    /// Other id of a person -> the id in this gallery.
    var otherIDs: [String: Value<String>] = [:]
    /// The ids of faces that were added.
    var added: [String] = []
    /// The faces that were removed.
    var removed: [BinnedFace] = []
    /// Id of a face -> whether it is hidden.
    var hidden: [String: Value<Bool>]? // not in files of older versions

    var isEmpty: Bool { self == ChangeRows() }
}

extension ChangeRows {
    /// Compares a gallery before and after a change.
    init(from before: Gallery, to after: Gallery) {
        let oldPeople = Dictionary(uniqueKeysWithValues: before.people.map { ($0.id, $0) })
        let newPeople = Dictionary(uniqueKeysWithValues: after.people.map { ($0.id, $0) })
        for id in Set(oldPeople.keys).union(newPeople.keys) {
            let old = oldPeople[id], new = newPeople[id]
            if old?.name != new?.name || old?.details != new?.details {
                people[id] = Value(before: old, after: new)
            }
        }
        let oldFaces = Dictionary(uniqueKeysWithValues: before.faces.map { ($0.id, $0.person) })
        let newFaces = Dictionary(uniqueKeysWithValues: after.faces.map { ($0.id, $0.person) })
        for face in after.faces {
            guard let old = oldFaces[face.id] else {
                added.append(face.id)
                continue
            }
            if old != face.person {
                owners[face.id] = Value(before: old, after: face.person)
            }
        }
        compareHidden(before, after)
        for (number, face) in before.faces.enumerated() where newFaces[face.id] == nil {
            removed.append(BinnedFace(face: face, vector: before.vector(number)))
        }
        for id in Set(before.otherIDs.keys).union(after.otherIDs.keys) where before.otherIDs[id] != after.otherIDs[id] {
            otherIDs[id] = Value(before: before.otherIDs[id], after: after.otherIDs[id])
        }
    }

    private mutating func compareHidden(_ before: Gallery, _ after: Gallery) {
        let old = Dictionary(uniqueKeysWithValues: before.faces.map { ($0.id, $0.hidden) })
        for face in after.faces {
            if let was = old[face.id], was != face.hidden {
                hidden = hidden ?? [:]
                hidden?[face.id] = Value(before: was, after: face.hidden)
            }
        }
    }
}
