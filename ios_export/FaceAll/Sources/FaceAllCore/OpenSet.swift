import Foundation

/// The decision of a search on a person.
public enum Decision: String, Equatable, Sendable, Codable {
    /// Within the threshold of the target false-positive identification rate.
    case match
    /// Within the threshold of ten times that rate, or ambiguous, or the face is of poor quality.
    case possible
    /// Neither.
    case unknown
}

/// The distribution of the cosine similarity of a stranger to one person of a gallery, in its upper tail.
///
/// A search returns the nearest of N faces, so the similarity of a stranger is a maximum of N values. The quantiles of
/// one comparison are `mean + deviation * (x + bend * x * x)` at the quantile x > 0 of a standard normal distribution.
/// The server computes the same (`faceall.analysis.open_set`).
public struct StrangerScores: Equatable, Sendable {
    /// The default false-positive identification rate: one wrong name in a hundred searches of strangers.
    public static let targetFPIR = 0.01
    /// A possible match lies within the threshold of this multiple of the target rate.
    public static let possibleFactor = 10.0
    /// The bend of the tail of a model for which it was not measured.
    public static let usualBend = 0.06

    private static let largestRate = 0.5
    private static let priorPeople = 100.0
    private static let fewest = 3
    private static let fewestInTail = 8
    private static let repeated = 0.45
    private static let largestPairRate = 0.1
    private static let chance = 2.0 // squared L2 distance of unrelated unit vectors
    private static let cautiousDeviations = 0.8416212335729143 // the confidence of 80 % of a cautious threshold
    private static let spreadFactor = 0.6, reachFactor = 1.5 // of the standard error of an estimated quantile

    /// The mean of the cosine similarity.
    public let mean: Double
    /// The standard deviation of the cosine similarity.
    public let deviation: Double
    /// The number of people that it was estimated on; 0 if it was derived from the model.
    public let people: Int
    /// The curvature of the tail; 0 for a normal distribution.
    public let bend: Double
    /// How many people the estimate is worth, those of the model included.
    public let support: Double

    /// Creates a distribution from its parameters.
    public init(mean: Double, deviation: Double, people: Int = 0, bend: Double = 0, support: Double = 100) {
        self.mean = mean
        self.deviation = deviation
        self.people = people
        self.bend = bend
        self.support = support
    }

    /// Creates the distribution of a model: as its manifest states it, or derived from its pair threshold.
    ///
    /// Returns `nil` if the manifest has neither.
    public init?(of manifest: Manifest) {
        if let stated = manifest.nonMatedScores {
            self.init(mean: stated.mean, deviation: stated.deviation, bend: stated.bend)
            return
        }
        guard let limit = manifest.matchThreshold, let rate = manifest.matchThresholdFalseAcceptRate,
              rate <= StrangerScores.largestPairRate, limit < StrangerScores.chance
        else {
            return nil
        }
        self.init(pairThreshold: limit, falseMatchRate: rate)
    }

    /// Derives the distribution of a model from its pair threshold, assuming a mean similarity of zero.
    ///
    /// - Parameters:
    ///   - pairThreshold: A squared L2 distance.
    ///   - falseMatchRate: The share of pairs of two people within it.
    public init(pairThreshold: Double, falseMatchRate: Double) {
        let deviations = bent(normalQuantile(1 - falseMatchRate), StrangerScores.usualBend)
        self.init(mean: 0, deviation: max((1 - pairThreshold / 2) / deviations, 1e-3), bend: StrangerScores.usualBend)
    }

    /// Fits the distribution to the results of searches in which every person is left out of the gallery once.
    ///
    /// Mean and deviation are estimated by regression on the upper half of a probability plot (Blom's positions) and
    /// averaged with those of the model, which count like 100 people. Returns `nil` with fewer than three values and no
    /// model.
    ///
    /// - Parameters:
    ///   - maxima: The similarity of every person to the most similar other person.
    ///   - compared: The number of independent comparisons of each search.
    ///   - prior: The distribution of the model, or `nil` if it is not known.
    public init?(maxima: [Double], compared: Double, prior: StrangerScores?) {
        let count = maxima.count
        guard count >= StrangerScores.fewest, compared >= 1 else {
            guard let prior else { return nil }
            self = prior
            return
        }
        let first = min(count / 2, max(count - StrangerScores.fewestInTail, 0))
        let bend = prior?.bend ?? StrangerScores.usualBend
        let ordered = Array(maxima.sorted()[first...])
        let normal = (first..<count).map { number in
            bent(maximumQuantile((Double(number + 1) - 0.375) / (Double(count) + 0.25), rounded3(compared)), bend)
        }
        let typicalNormal = average(normal)
        let centred = normal.map { $0 - typicalNormal }
        let deviation = max(dot(centred, ordered) / dot(centred, centred), 1e-4)
        guard let prior else {
            self.init(
                mean: average(ordered) - deviation * typicalNormal, deviation: deviation, people: count, bend: bend,
                support: Double(count)
            )
            return
        }
        let share = Double(count) / (Double(count) + StrangerScores.priorPeople)
        let mixed = share * deviation + (1 - share) * prior.deviation
        let typical = share * average(ordered) + (1 - share) * (prior.mean + prior.deviation * typicalNormal)
        self.init(
            mean: typical - mixed * typicalNormal, deviation: mixed, people: count, bend: bend,
            support: Double(count) + StrangerScores.priorPeople
        )
    }

    /// Returns the number of independent comparisons of a search: the faces of one person count less than as many people.
    public static func comparisons(people: Int, faces: Int) -> Double {
        people == 0 ? 0 : Double(people) * pow(max(Double(faces) / Double(people), 1), repeated)
    }

    /// Returns the squared L2 distance up to which strangers get a name at the given rate.
    ///
    /// - Parameters:
    ///   - fpir: The false-positive identification rate, above 0; rates above 0.5 count as 0.5.
    ///   - compared: The number of independent comparisons of a search.
    public func threshold(fpir: Double, compared: Double) -> Double {
        let quantile = maximumQuantile(1 - min(fpir, StrangerScores.largestRate), compared)
        return min(max(2 - 2 * (mean + deviation * bent(quantile, bend)), 0), 4)
    }

    /// Returns the squared L2 distance up to which strangers get a name at no more than the given rate, with a
    /// confidence of 80 %, as far as the estimate is concerned. Searches use it.
    ///
    /// - Parameters:
    ///   - fpir: The false-positive identification rate, above 0; rates above 0.5 count as 0.5.
    ///   - compared: The number of independent comparisons of a search.
    public func cautiousThreshold(fpir: Double, compared: Double) -> Double {
        let quantiles = [0.1587, 0.8413, 0.75, 1 - min(fpir, StrangerScores.largestRate)].map {
            bent(maximumQuantile($0, compared), bend)
        }
        let spread = StrangerScores.spreadFactor * (quantiles[1] - quantiles[0]) / 2
        let reach = StrangerScores.reachFactor * max(quantiles[3] - quantiles[2], 0)
        let error = (spread + reach) / max(support, 1).squareRoot()
        let similarity = mean + deviation * (quantiles[3] + StrangerScores.cautiousDeviations * error)
        return min(max(2 - 2 * similarity, 0), 4)
    }

    /// Returns the false-positive identification rate of a threshold, a squared L2 distance.
    public func fpir(distance: Double, compared: Double) -> Double {
        let above = normalShare(below: -straightened((1 - distance / 2 - mean) / deviation, bend))
        return -expm1(max(compared, 1) * log1p(-min(above, 1 - 1e-12)))
    }
}

/// The distance up to which a face matches, and how it was determined.
public struct MatchThreshold: Equatable, Sendable {
    /// The largest squared L2 distance of a match.
    public let distance: Double
    /// The largest squared L2 distance of a possible match, or `nil` if there is no such limit.
    public let possible: Double?
    /// The false-positive identification rate, or `nil` if the threshold was not determined from one.
    public let fpir: Double?
    /// A match is only possible if a second person is within the threshold and this much farther or nearer.
    public let margin: Double

    /// Creates a threshold.
    public init(distance: Double, possible: Double? = nil, fpir: Double? = nil, margin: Double = 0) {
        self.distance = distance
        self.possible = possible
        self.fpir = fpir
        self.margin = margin
    }

    /// Returns the decision on a person.
    ///
    /// - Parameters:
    ///   - distance: The squared L2 distance to the person.
    ///   - second: The distance to the second-best person, or `nil` if there is none.
    public func decide(_ distance: Double, second: Double? = nil) -> Decision {
        if distance <= self.distance {
            if let second, second <= self.distance, second - distance < margin {
                return .possible
            }
            return .match
        }
        if let possible, distance <= possible {
            return .possible
        }
        return .unknown
    }
}

// MARK: - The normal distribution

private func bent(_ normal: Double, _ bend: Double) -> Double {
    normal + bend * pow(max(normal, 0), 2)
}

private func straightened(_ bent: Double, _ bend: Double) -> Double {
    bend > 0 && bent > 0 ? (sqrt(1 + 4 * bend * bent) - 1) / (2 * bend) : bent
}

/// Returns the quantile of the maximum of `compared` standard normal values.
private func maximumQuantile(_ probability: Double, _ compared: Double) -> Double {
    let upper = -expm1(log(probability) / max(compared, 1)) // accurate near 1
    return -normalQuantile(min(max(upper, 1e-300), 1 - 1e-12))
}

/// Returns the share of a standard normal distribution below a value.
func normalShare(below value: Double) -> Double {
    0.5 * erfc(-value / 2.0.squareRoot())
}

/// Returns the quantile of the standard normal distribution.
///
/// Newton's method on the logarithm of the smaller tail, from the expansion of Abramowitz and Stegun 26.2.23.
///
/// - Parameter share: Above 0 and below 1.
func normalQuantile(_ share: Double) -> Double {
    if share > 0.5 {
        return -normalQuantile(1 - share)
    }
    let start = sqrt(-2 * log(share))
    var value = -(start - (2.515517 + start * (0.802853 + start * 0.010328))
        / (1 + start * (1.432788 + start * (0.189269 + start * 0.001308))))
    for _ in 0..<8 {
        let below = normalShare(below: value)
        let density = exp(-value * value / 2) / sqrt(2 * Double.pi)
        let step = (log(below) - log(share)) * below / density
        value -= step
        if abs(step) <= 1e-15 * abs(value) {
            break
        }
    }
    return value
}

private func rounded3(_ value: Double) -> Double {
    (value * 1000).rounded(.toNearestOrEven) / 1000
}

private func average(_ values: [Double]) -> Double {
    values.reduce(0, +) / Double(values.count)
}

private func dot(_ first: [Double], _ second: [Double]) -> Double {
    zip(first, second).reduce(0) { $0 + $1.0 * $1.1 }
}
