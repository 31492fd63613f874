import Foundation

/// A change of people, as the history lists it.
public struct Change: Equatable, Sendable, Codable, Identifiable {
    /// A UUID in lower case; bundles keep it.
    public let id: String
    /// The kind, as on the server: rename, merge, assign, unassign, discard, remove-face, hide, show, hide-faces,
    /// show-faces, details, undo.
    public let kind: String
    /// The time of the change or statement.
    public let made: Timestamp
    /// Who made the change; empty if unknown.
    public let author: String
    /// Names and numbers for the description, such as "old" and "new" of a rename.
    public let details: [String: JSONValue]

    /// The change as one line, such as "renamed Ann to Anna".
    public var summary: String {
        guard kind == "undo" else { return summary(of: kind) }
        let undone = text("undone")
        return "undid: " + (undone == "undo" ? "an undo" : summary(of: undone))
    }

    private func summary(of kind: String) -> String {
        switch kind {
        case "rename": return "renamed \(text("old")) to \(text("new"))"
        case "merge": return "merged \(text("old")) into \(text("into")) (\(faces))"
        case "assign": return "assigned \(faces) to \(text("person"))"
        case "unassign": return "removed the name of \(faces)"
        case "discard": return "moved \(text("person")) to the bin (\(faces))"
        case "remove-face": return "moved \(faces) to the bin"
        case "hide": return "hid \(names)"
        case "show": return "showed \(names) again"
        case "hide-faces": return "hid \(faces)"
        case "show-faces": return "showed \(faces) again"
        case "details": return "changed the details of \(text("person"))"
        default: return kind
        }
    }

    private var faces: String {
        guard case let .integer(count)? = details["faces"] else { return "faces" }
        return count == 1 ? "1 face" : "\(count) faces"
    }

    private var names: String {
        guard case let .array(values)? = details["people"] else { return "?" }
        let names = values.map { value -> String in
            guard case let .string(name) = value else { return "?" }
            return name
        }
        return names.count > 3 ? "\(names.count) people" : names.joined(separator: ", ")
    }

    private func text(_ key: String) -> String {
        guard case let .string(value)? = details[key] else { return "?" }
        return value
    }
}

/// What a user said: that a face is, or is not, a person; or that two people are, or are not, the same.
public struct Judgement: Equatable, Sendable, Codable {
    /// The id of a face or of a person.
    public let subject: String
    /// The id of a person.
    public let person: String
    /// Whether the user said that they are the same.
    public let same: Bool
    /// The time of the change or statement.
    public let made: Timestamp
}

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

/// The history of changes, what undoing needs, and what users said.
struct Journal: Equatable, Sendable {
    /// All changes by time; changes of other devices are among them.
    var changes: [Change] = []
    /// Id of a change of this device -> what undoing needs.
    var rows: [String: ChangeRows] = [:]
    /// Id of a change -> the id of the change that undid it.
    var undone: [String: String] = [:]
    var judgements: [Judgement] = []
}

/// The history of changes, and undo.
extension Gallery {
    /// The number of days after which removed faces are erased.
    public static let binDays = 30

    /// All changes of people, the last one first.
    public var history: [Change] { journal.changes.reversed() }

    /// What users said about faces and people.
    public var judgements: [Judgement] { journal.judgements }

    /// The number of removed faces that can be restored.
    public var binCount: Int { journal.rows.values.reduce(0) { $0 + $1.removed.count } }

    /// Returns whether a change can be undone: it was made on this device, and was not undone yet.
    public func canUndo(_ change: Change) -> Bool {
        journal.rows[change.id] != nil && journal.undone[change.id] == nil
    }

    /// Undoes a change, all or nothing; undoing is a change itself and can be undone.
    ///
    /// - Parameters:
    ///   - id: The id of the change, or `nil` for the last one that is no undoing.
    ///   - author: Who undoes it.
    ///   - now: The time of the undoing.
    /// - Returns: The new change.
    /// - Throws: `FaceAllError.unknown` if there is no such change, `cannotUndo` if it was undone already, comes from
    ///   another device, or was changed again afterwards.
    @discardableResult
    public mutating func undo(_ id: String? = nil, author: String = "", now: Date = Date()) throws -> Change {
        guard let change = id.map({ wanted in journal.changes.first { $0.id == wanted } })
            ?? journal.changes.last(where: { $0.kind != "undo" && canUndo($0) })
        else {
            throw FaceAllError.unknown(id.map { "the history has no change \($0)" } ?? "there is nothing to undo")
        }
        if journal.undone[change.id] != nil {
            throw FaceAllError.cannotUndo("'\(change.summary)' was undone already")
        }
        guard let rows = journal.rows[change.id] else {
            throw FaceAllError.cannotUndo(
                "'\(change.summary)' comes from another device, or its faces were erased: it cannot be undone here"
            )
        }
        var details = change.details // as the server describes an undoing
        details["change"] = .string(change.id)
        details["undone"] = .string(change.kind)
        try recording("undo", author, now, details) { gallery in
            try gallery.putBack(rows, of: change, Timestamp(now))
        }
        let undoing = journal.changes[journal.changes.count - 1]
        journal.undone[change.id] = undoing.id
        for (other, by) in journal.undone where by == change.id {
            journal.undone[other] = nil // undoing an undoing: the first change holds again
        }
        return undoing
    }

    /// Records that a face is, or is not, a person; or that two people are, or are not, the same.
    ///
    /// - Throws: `FaceAllError.unknown` if the gallery has no such face or person.
    public mutating func judge(subject: String, person: String, same: Bool, now: Date = Date()) throws {
        guard self.person(person) != nil, self.person(subject) != nil || faces.contains(where: { $0.id == subject })
        else {
            throw FaceAllError.unknown("the gallery has no face or person \(subject), or no person \(person)")
        }
        add(Judgement(subject: subject, person: person, same: same, made: Timestamp(now)))
    }

    /// Erases removed faces for good; the changes that removed them can no longer be undone.
    ///
    /// - Parameters:
    ///   - days: Faces that were removed earlier than so many days ago are erased; 0 erases all.
    ///   - now: The time.
    /// - Returns: The number of erased faces.
    @discardableResult
    public mutating func emptyBin(olderThanDays days: Int = Gallery.binDays, now: Date = Date()) -> Int {
        let limit = Timestamp(now.addingTimeInterval(-Double(days) * 86_400))
        var erased = 0
        for change in journal.changes where days <= 0 || change.made < limit {
            if let rows = journal.rows[change.id], !rows.removed.isEmpty {
                erased += rows.removed.count
                journal.rows[change.id] = nil
            }
        }
        return erased
    }

    /// Makes a change and records it; if an error is thrown, the gallery is unchanged.
    mutating func recording<Value>(
        _ kind: String, _ author: String, _ now: Date, _ details: [String: JSONValue],
        _ change: (inout Gallery) throws -> Value
    ) rethrows -> Value {
        let before = self
        do {
            let value = try change(&self)
            let rows = ChangeRows(from: before, to: self)
            if !rows.isEmpty {
                let made = Change(
                    id: UUID().uuidString.lowercased(), kind: kind, made: Timestamp(now), author: author, details: details
                )
                journal.changes.append(made)
                journal.rows[made.id] = rows
            }
            return value
        } catch {
            self = before
            throw error
        }
    }

    /// Adds a judgement; an earlier one on the same two is replaced.
    mutating func add(_ judgement: Judgement) {
        let place = journal.judgements.firstIndex {
            $0.subject == judgement.subject && $0.person == judgement.person
        }
        guard let place else { return journal.judgements.append(judgement) }
        if journal.judgements[place].made <= judgement.made {
            journal.judgements[place] = judgement
        }
    }

    /// Adds the history and the judgements of another gallery; its changes cannot be undone here.
    mutating func add(_ other: Journal) {
        let known = Set(journal.changes.map(\.id))
        journal.changes += other.changes.filter { !known.contains($0.id) }
        journal.changes = journal.changes.enumerated().sorted { ($0.element.made, $0.offset) < ($1.element.made, $1.offset) }
            .map(\.element)
        other.judgements.forEach { add($0) }
    }

    // MARK: - Putting back

    private mutating func putBack(_ rows: ChangeRows, of change: Change, _ time: Timestamp) throws {
        func changedAgain(_ what: String) -> FaceAllError {
            .cannotUndo("'\(change.summary)' cannot be undone: \(what) was changed again afterwards; undo that first")
        }
        try putPeople(rows, time, changedAgain)
        for (id, value) in rows.owners {
            guard let number = faces.firstIndex(where: { $0.id == id }), faces[number].person == value.after else {
                throw changedAgain("a face")
            }
            faces[number].person = value.before
            faces[number].changed = time
        }
        try putHidden(rows, changedAgain)
        for binned in rows.removed {
            guard !faces.contains(where: { $0.id == binned.face.id }) else { throw changedAgain("a face") }
            faces.append(binned.face)
            vectors += binned.vector
            removedFaces.remove(binned.face.id)
        }
        guard Set(rows.added).isSubset(of: Set(faces.map(\.id))) else { throw changedAgain("a face") }
        let added = Set(rows.added)
        drop { added.contains($0.id) }
        for (id, value) in rows.otherIDs where otherIDs[id] == value.after {
            otherIDs[id] = value.before
        }
        let known = Set(people.map(\.id))
        guard faces.allSatisfy({ $0.person.map { known.contains($0) } ?? true }), faces.count <= Gallery.mostFaces else {
            throw changedAgain("a person")
        }
    }

    private mutating func putPeople(
        _ rows: ChangeRows, _ time: Timestamp, _ changedAgain: (String) -> FaceAllError
    ) throws {
        var restored: [Person] = []
        for (id, value) in rows.people {
            if let person = try earlier(value, present: person(id), time, changedAgain) {
                restored.append(person)
            }
            people.removeAll { $0.id == id }
        }
        for person in restored {
            guard !people.contains(where: { $0.name == person.name }) else {
                throw changedAgain("the name '\(person.name)' is taken, so a person")
            }
            people.append(person)
        }
    }

    /// Returns a person as before a change, with what another change set since, or `nil` if the change added them.
    private func earlier(
        _ value: ChangeRows.Value<Person>, present: Person?, _ time: Timestamp,
        _ changedAgain: (String) -> FaceAllError
    ) throws -> Person? {
        guard (present == nil) == (value.after == nil) else { throw changedAgain("a person") }
        guard var person = value.before else {
            guard present?.name == value.after?.name else { throw changedAgain("a person") }
            return nil
        }
        guard let after = value.after, let present else {
            person.changed = time
            return person
        }
        if person.name == after.name {
            (person.name, person.changed) = (present.name, present.changed)
        } else {
            guard present.name == after.name else { throw changedAgain("the name of a person") }
            person.changed = time
        }
        if person.details == after.details {
            person.details = present.details
        } else {
            guard present.details == after.details else { throw changedAgain("the details of a person") }
            person.details = person.details ?? PersonDetails(changed: time)
            person.details?.changed = time // so that other devices follow
        }
        return person
    }

    private mutating func putHidden(_ rows: ChangeRows, _ changedAgain: (String) -> FaceAllError) throws {
        for (id, value) in rows.hidden ?? [:] {
            guard let number = faces.firstIndex(where: { $0.id == id }), faces[number].hidden == value.after else {
                throw changedAgain("a face")
            }
            faces[number].hidden = value.before ?? false
        }
    }
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
