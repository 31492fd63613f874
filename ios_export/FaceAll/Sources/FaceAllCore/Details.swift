import Foundation

/// What is noted of a person besides the name.
public struct PersonDetails: Equatable, Sendable, Codable {
    /// The longest note, in characters (Unicode scalars).
    public static let longestNote = 2000

    /// Whether the person is not listed and not suggested.
    public internal(set) var hidden: Bool
    /// A text, or `nil`.
    public internal(set) var note: String?
    /// The date of birth as YYYY-MM-DD, or `nil`.
    public internal(set) var born: String?
    /// The id of the face that represents the person, or `nil` for the best one.
    public internal(set) var cover: String?
    /// The time of the last change of the details.
    public internal(set) var changed: Timestamp

    init(hidden: Bool = false, note: String? = nil, born: String? = nil, cover: String? = nil, changed: Timestamp) {
        self.hidden = hidden
        self.note = note
        self.born = born
        self.cover = cover
        self.changed = changed
    }

    /// Writes all fields; those that are not set are null, as on the server.
    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(hidden, forKey: .hidden)
        try container.encode(note, forKey: .note)
        try container.encode(born, forKey: .born)
        try container.encode(cover, forKey: .cover)
        try container.encode(changed, forKey: .changed)
    }

    /// Returns whether two details differ only in their times.
    func says(_ other: PersonDetails) -> Bool {
        var dated = other
        dated.changed = changed
        return self == dated
    }
}

/// Hidden people and faces, notes, birth dates and covers.
extension Gallery {
    /// Hides people: they are not listed and not suggested, but are still recognised.
    ///
    /// - Parameters:
    ///   - ids: The ids of people.
    ///   - hidden: Whether they are hidden, or shown again.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Returns: The number of people that were changed.
    /// - Throws: `FaceAllError.unknown` if one of them does not exist; nothing is changed then.
    @discardableResult
    public mutating func hide(
        people ids: [String], hidden: Bool = true, author: String = "", now: Date = Date()
    ) throws -> Int {
        let numbers = try ids.map { try find(person: $0) }
        let names = numbers.map { JSONValue.string(people[$0].name) }
        let changed = Set(numbers.filter { isHidden(people[$0]) != hidden })
        recording(hidden ? "hide" : "show", author, now, ["people": .array(names)]) { gallery in
            for number in changed {
                gallery.setDetails(of: number, now) { $0.hidden = hidden }
            }
        }
        return changed.count
    }

    /// Hides faces: they are not suggested.
    ///
    /// - Parameters:
    ///   - ids: The ids of faces.
    ///   - hidden: Whether they are hidden, or shown again.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Returns: The number of faces that were changed.
    /// - Throws: `FaceAllError.unknown` if one of them does not exist; nothing is changed then.
    @discardableResult
    public mutating func hide(
        faces ids: [String], hidden: Bool = true, author: String = "", now: Date = Date()
    ) throws -> Int {
        let known = Set(faces.map(\.id))
        if let strange = ids.first(where: { !known.contains($0) }) {
            throw FaceAllError.unknown("the gallery has no face \(strange)")
        }
        let wanted = Set(ids)
        let numbers = faces.indices.filter { wanted.contains(faces[$0].id) && faces[$0].hidden != hidden }
        let details: [String: JSONValue] = ["faces": .integer(Int64(numbers.count))]
        recording(hidden ? "hide-faces" : "show-faces", author, now, details) { gallery in
            for number in numbers {
                gallery.faces[number].hidden = hidden
            }
        }
        return numbers.count
    }

    /// Sets the note of a person.
    ///
    /// - Parameters:
    ///   - person: The id of the person.
    ///   - note: At most 2,000 characters; an empty text or `nil` removes the note.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Throws: `FaceAllError.unknown` if there is no such person, `badGallery` if the note is not valid.
    public mutating func set(note: String?, of person: String, author: String = "", now: Date = Date()) throws {
        let tidy = try tidyNote(note)
        try changeDetails(of: person, author, now) { $0.note = tidy }
    }

    /// Sets the birth date of a person.
    ///
    /// - Parameters:
    ///   - born: A date as YYYY-MM-DD; an empty text or `nil` removes it.
    ///   - person: The id of the person.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Throws: `FaceAllError.unknown` if there is no such person, `badGallery` if there is no such date.
    public mutating func set(born: String?, of person: String, author: String = "", now: Date = Date()) throws {
        let date = born.flatMap { $0.isEmpty ? nil : $0 }
        if let date, !isCalendarDate(date) {
            throw FaceAllError.badGallery("born is '\(date.prefix(40))', expected a date such as 2019-05-31")
        }
        try changeDetails(of: person, author, now) { $0.born = date }
    }

    /// Sets the face that represents a person.
    ///
    /// - Parameters:
    ///   - cover: The id of a face of the person, or `nil` for the best one.
    ///   - person: The id of the person.
    ///   - author: Who makes the change, for the history.
    ///   - now: The time of the change.
    /// - Throws: `FaceAllError.unknown` if there is no such person, or the face is not one of theirs.
    public mutating func set(cover: String?, of person: String, author: String = "", now: Date = Date()) throws {
        if let cover, !faces.contains(where: { $0.id == cover && $0.person == person }) {
            throw FaceAllError.unknown("face \(cover) is not a face of this person")
        }
        try changeDetails(of: person, author, now) { $0.cover = cover }
    }

    /// The people who are not hidden, in the order of `people`.
    public var shownPeople: [Person] { people.filter { !isHidden($0) } }

    /// The people who are hidden, in the order of `people`.
    public var hiddenPeople: [Person] { people.filter(isHidden) }

    /// Returns the face that represents a person: the chosen cover, or a face that is not hidden, primary and large.
    ///
    /// - Parameter person: The id of the person.
    /// - Returns: The face, or `nil` if there is no such person.
    public func cover(of person: String) -> StoredFace? {
        let own = faces(of: person)
        if let chosen = self.person(person)?.details?.cover, let face = own.first(where: { $0.id == chosen }) {
            return face
        }
        func rank(_ face: StoredFace) -> (Int, Int, Float) {
            (face.hidden ? 1 : 0, face.isPrimary ? 0 : 1, -face.face.box.area)
        }
        return own.min { rank($0) < rank($1) } // the first of equal ones
    }

    // MARK: - Helpers

    func isHidden(_ person: Person) -> Bool { person.details?.hidden ?? false }

    private mutating func changeDetails(
        of id: String, _ author: String, _ now: Date, _ change: (inout PersonDetails) -> Void
    ) throws {
        let number = try find(person: id)
        recording("details", author, now, ["person": .string(people[number].name)]) { gallery in
            gallery.setDetails(of: number, now, change)
        }
    }

    /// Changes the details of the person at an index; equal details keep their time.
    private mutating func setDetails(of number: Int, _ now: Date, _ change: (inout PersonDetails) -> Void) {
        let before = people[number].details ?? PersonDetails(changed: people[number].created)
        var after = before
        change(&after)
        if !after.says(before) {
            after.changed = Timestamp(now)
            people[number].details = after
        }
    }
}

/// Returns a note in its stored form, without surrounding white space, or `nil` for an empty one.
///
/// - Throws: `FaceAllError.badGallery` if it is too long or contains a NUL.
func tidyNote(_ note: String?) throws -> String? {
    guard let tidy = note?.trimmingCharacters(in: .whitespacesAndNewlines), !tidy.isEmpty else { return nil }
    guard tidy.unicodeScalars.count <= PersonDetails.longestNote, !tidy.unicodeScalars.contains("\0") else {
        throw FaceAllError.badGallery(
            "the note has \(tidy.unicodeScalars.count) characters, expected at most \(PersonDetails.longestNote) without NUL"
        )
    }
    return tidy
}

/// Returns whether a text is a date of the Gregorian calendar in the form YYYY-MM-DD, as Python's `date` has them.
func isCalendarDate(_ text: String) -> Bool {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [4, 2, 2], parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
          let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]),
          year >= 1, (1...12).contains(month)
    else {
        return false
    }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return (1...days[month - 1]).contains(day)
}
