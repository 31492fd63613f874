import Foundation

/// Undoing changes.
extension Gallery {
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
            (person.name, person.changed, person.isUnnamed) = (present.name, present.changed, present.isUnnamed)
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
