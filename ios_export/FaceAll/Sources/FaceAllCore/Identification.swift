import Foundation

/// A person that a search found, with the decision.
public struct Identification: Equatable, Sendable {
    /// The person.
    public let person: Person
    /// The person's nearest face.
    public let face: StoredFace
    /// The squared L2 distance to that face.
    public let distance: Float
    /// The distance that was decided on: the mean of the distance and of that to the person's template.
    public let judgedDistance: Double
    /// Whether the query shows this person.
    public let decision: Decision
}

/// Open-set decisions, with the arithmetic of the server.
extension Gallery {
    private static let mostPeople = 1000
    private static let mostFacesOfPerson = 5
    private static let templates = 3 // people whose template is compared
    private static let templateFaces = 32
    private static let sameFace = 0.02 // squared distance up to which a query is a registered face itself

    /// Returns the threshold of searches in this gallery for a false-positive identification rate.
    ///
    /// It follows from the distribution of strangers of the model, the gallery's own people, and their number. Of more
    /// than 1,000 people, and more than five faces of a person, a selection is used that is evenly spread over the order
    /// of their ids, as on the server. Without a distribution of the model it is the gallery's own threshold, or `nil`
    /// if that is not known.
    ///
    /// - Parameter fpir: The share of searches of strangers that give a match, above 0, at most 0.5.
    /// - Throws: `FaceAllError.badGallery` if the rate is not valid.
    public func matchThreshold(fpir: Double = StrangerScores.targetFPIR) throws -> MatchThreshold? {
        guard fpir > 0, fpir <= 0.5 else {
            throw FaceAllError.badGallery("the rate is \(fpir), expected above 0 and at most 0.5")
        }
        guard let manifest = try? Manifest(json: JSONEncoder().encode(model.manifest)),
              let prior = StrangerScores(of: manifest)
        else {
            return threshold.map { MatchThreshold(distance: $0) }
        }
        let count = Set(faces.compactMap(\.person)).count, assigned = faces.reduce(0) { $0 + ($1.person == nil ? 0 : 1) }
        let sample = sampledFaces()
        let used = sample.reduce(0) { $0 + $1.count }
        var compared = 0.0
        if sample.count > 1 {
            compared = StrangerScores.comparisons(people: sample.count, faces: used) * (1 - 1 / Double(sample.count))
        }
        let maxima = sample.count > 1 ? nearestOthers(sample) : []
        let scores = StrangerScores(maxima: maxima, compared: compared, prior: prior) ?? prior
        let size = StrangerScores.comparisons(people: count, faces: assigned)
        return MatchThreshold(
            distance: scores.cautiousThreshold(fpir: fpir, compared: size),
            possible: scores.cautiousThreshold(fpir: min(StrangerScores.possibleFactor * fpir, 0.5), compared: size),
            fpir: fpir, margin: 0.5 * scores.deviation
        )
    }

    /// Returns the nearest people, the most probable first, each with a decision.
    ///
    /// What users said has priority: a face that was confirmed as a person is a match, and one that was refused is not.
    ///
    /// - Parameters:
    ///   - vector: The embedding to compare, of unit length.
    ///   - threshold: The threshold, from `matchThreshold(fpir:)`.
    ///   - count: The maximum number of people.
    ///   - isPoor: Whether the face is of poor quality; a match is then only possible.
    /// - Throws: `FaceAllError.badGallery` if the vector has another dimension or is not of unit length.
    public func identify(
        _ vector: [Float], threshold: MatchThreshold, count: Int = 3, isPoor: Bool = false
    ) throws -> [Identification] {
        try check(vector)
        let nearest = nearestFaces(vector)
        let judged = nearest.enumerated().map { rank, found in
            let whole = rank < Gallery.templates && threshold.fpir != nil ? templateDistance(vector, found.person) : nil
            return whole.map { (Double(found.distance) + $0) / 2 } ?? Double(found.distance)
        }
        let said = judgements(on: vector, reach: max(threshold.distance, Gallery.sameFace))
        let order = judged.indices.sorted { (judged[$0], $0) < (judged[$1], $1) }
        let open = order.filter { !said.refused.contains(nearest[$0].person) }
        let second = open.count > 1 ? judged[open[1]] : nil
        let known = Dictionary(uniqueKeysWithValues: people.map { ($0.id, $0) })
        return order.prefix(max(count, 0)).compactMap { place in
            guard let person = known[nearest[place].person] else { return nil }
            var decision = threshold.decide(judged[place], second: place == open.first ? second : nil)
            if isPoor, decision == .match, threshold.fpir != nil {
                decision = .possible
            }
            if said.refused.contains(person.id) {
                decision = .unknown
            } else if said.confirmed.contains(person.id), Double(nearest[place].distance) <= threshold.distance {
                decision = .match
            }
            return Identification(
                person: person, face: faces[nearest[place].face], distance: nearest[place].distance,
                judgedDistance: judged[place], decision: decision
            )
        }
    }

    // MARK: - Helpers

    /// Returns the people that a query is known to show, and known not to show, from judgements on the nearest faces.
    ///
    /// A judgement holds for the face itself; a refusal also for a query that is nearer to that face than to every face
    /// of the person.
    private func judgements(on vector: [Float], reach: Double) -> (confirmed: Set<String>, refused: Set<String>) {
        guard !journal.judgements.isEmpty else { return ([], []) }
        let said = Dictionary(grouping: journal.judgements, by: \.subject)
        let near = faces.indices.map { (face: $0, distance: Double(squaredDistance(vector, vectors, from: $0 * size))) }
            .filter { $0.distance <= reach }
            .sorted { ($0.distance, $0.face) < ($1.distance, $1.face) }
        var confirmed = Set<String>(), refused = Set<String>(), seen = Set<String>()
        for (number, distance) in near {
            let onFace = said[faces[number].id] ?? [], isSame = distance <= Gallery.sameFace
            if isSame {
                confirmed.formUnion(onFace.filter(\.same).map(\.person))
            }
            let others = Set(onFace.filter { !$0.same }.map(\.person))
            refused.formUnion(isSame ? others : others.subtracting(seen))
            if let person = faces[number].person {
                seen.insert(person)
            }
        }
        return (confirmed, refused.subtracting(confirmed))
    }

    /// Returns the nearest face of every person, nearest first.
    private func nearestFaces(_ vector: [Float]) -> [(person: String, face: Int, distance: Float)] {
        var best: [String: (face: Int, distance: Float)] = [:]
        for (number, face) in faces.enumerated() {
            guard let person = face.person else { continue }
            let distance = squaredDistance(vector, vectors, from: number * size)
            if best[person].map({ distance < $0.distance }) ?? true {
                best[person] = (number, distance)
            }
        }
        return best.map { (person: $0.key, face: $0.value.face, distance: $0.value.distance) }
            .sorted { ($0.distance, $0.face) < ($1.distance, $1.face) }
    }

    /// Returns the distance to the unit mean of a person's faces, or `nil` for a person with one face.
    private func templateDistance(_ vector: [Float], _ person: String) -> Double? {
        var rows = faces.indices.filter { faces[$0].person == person }
        guard rows.count > 1 else { return nil }
        if rows.count > Gallery.templateFaces {
            rows.sort { precedes(faces[$0].id, faces[$1].id) }
        }
        let step = (rows.count + Gallery.templateFaces - 1) / Gallery.templateFaces
        let mean = sum(stride(from: 0, to: rows.count, by: step).map { rows[$0] })
        let length = sqrt(mean.reduce(0) { $0 + $1 * $1 })
        guard length > 0 else { return nil }
        return 2 - 2 * zip(vector, mean).reduce(0.0) { $0 + Double($1.0) * $1.1 } / length
    }

    private func sum(_ rows: [Int]) -> [Double] {
        var total = [Double](repeating: 0, count: size)
        for row in rows {
            for place in 0..<size {
                total[place] += Double(vectors[row * size + place])
            }
        }
        return total
    }

    /// Returns the rows of the faces of every person; people and faces are in the order of their ids, as on the server.
    func facesOfPeople() -> [[Int]] {
        let rows = Dictionary(grouping: faces.indices.filter { faces[$0].person != nil }) { faces[$0].person ?? "" }
        return rows.keys.sorted(by: precedes).map { person in
            (rows[person] ?? []).sorted { precedes(faces[$0].id, faces[$1].id) }
        }
    }

    /// Returns the rows of the people and faces that the distribution of strangers is fitted to.
    func sampledFaces() -> [[Int]] {
        evenly(facesOfPeople(), Gallery.mostPeople).map { evenly($0, Gallery.mostFacesOfPerson) }
    }

    /// Returns, for the first face of every person, the similarity to the most similar other person: the mean of the
    /// cosine to their nearest face and of that to their template.
    private func nearestOthers(_ people: [[Int]]) -> [Double] {
        let templates = people.map { rows -> [Double] in
            let total = sum(rows)
            let length = max(sqrt(total.reduce(0) { $0 + $1 * $1 }), 1e-6)
            return total.map { $0 / length }
        }
        return people.indices.map { place in
            let own = vector(people[place][0]).map(Double.init)
            var best = -Double.infinity
            for other in people.indices where other != place {
                let nearest = people[other].map { cosine(own, row: $0) }.max() ?? -1
                let whole = zip(own, templates[other]).reduce(0.0) { $0 + $1.0 * $1.1 }
                best = max(best, (nearest + whole) / 2)
            }
            return best
        }
    }

    private func cosine(_ vector: [Double], row: Int) -> Double {
        var total = 0.0
        for place in 0..<size {
            total += vector[place] * Double(vectors[row * size + place])
        }
        return total
    }
}

/// Returns whether an id comes before another one in the order of their bytes.
private func precedes(_ first: String, _ second: String) -> Bool {
    first.utf8.lexicographicallyPrecedes(second.utf8)
}

/// Returns at most `most` elements, evenly spread over all of them.
private func evenly<Element>(_ elements: [Element], _ most: Int) -> [Element] {
    elements.count <= most ? elements : (0..<most).map { elements[$0 * elements.count / most] }
}
