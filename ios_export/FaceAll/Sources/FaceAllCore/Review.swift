import Foundation

/// A question for the user: is this face that person?
public struct ReviewItem: Equatable, Sendable, Identifiable {
    /// An unassigned face.
    public let face: StoredFace
    /// The most similar person.
    public let candidate: Identification

    /// The id of the face.
    public var id: String { face.id }
}

/// Faces without a name that may be known people.
extension Gallery {
    /// Returns the unassigned faces that are a match or a possible match, the most certain first.
    ///
    /// Hidden people and hidden faces are left out.
    ///
    /// - Parameters:
    ///   - threshold: The threshold, from `matchThreshold(fpir:)`.
    ///   - count: The maximum number of faces.
    /// - Throws: `FaceAllError.badGallery` if the gallery is damaged.
    public func reviewQueue(threshold: MatchThreshold, count: Int = 50) throws -> [ReviewItem] {
        let refused = Set(journal.judgements.filter { !$0.same }.map { "\($0.subject) \($0.person)" })
        let hidden = hiddenPeople.count
        var found: [ReviewItem] = []
        for (number, face) in faces.enumerated() where face.person == nil && !face.hidden {
            let people = try identify(vector(number), threshold: threshold, count: 3 + hidden)
            let open = people.first {
                $0.decision != .unknown && !isHidden($0.person) && !refused.contains("\(face.id) \($0.person.id)")
            }
            if let open {
                found.append(ReviewItem(face: face, candidate: open))
            }
        }
        found.sort { ($0.candidate.judgedDistance, $0.id) < ($1.candidate.judgedDistance, $1.id) }
        return Array(found.prefix(max(count, 0)))
    }

    /// Answers a question of the review queue: assigns the face, or remembers that it is not that person.
    ///
    /// - Throws: `FaceAllError.unknown` if the face or the person no longer exists.
    public mutating func answer(_ item: ReviewItem, same: Bool, author: String = "", now: Date = Date()) throws {
        try judge(subject: item.face.id, person: item.candidate.person.id, same: same, now: now)
        if same {
            try assign(face: item.face.id, to: item.candidate.person.id, author: author, now: now)
        }
    }
}
