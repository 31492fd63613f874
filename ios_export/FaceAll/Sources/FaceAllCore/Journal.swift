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

/// The history of changes, the bin, and what users said.
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
}
