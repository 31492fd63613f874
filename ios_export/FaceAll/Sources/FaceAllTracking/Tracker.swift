import FaceAllCore
import Foundation

/// Follows faces across frames by overlap and motion.
///
/// Each track predicts its next box from a constant velocity of its centre and sides; faces are assigned to the tracks
/// whose predictions they overlap most. The tracker is pure arithmetic: it has no camera, no clock and no model.
public struct Tracker: Sendable {
    /// The settings of a tracker.
    public struct Settings: Equatable, Sendable {
        /// The smallest intersection over union of a face and a prediction.
        public var minOverlap: Double
        /// The largest distance between the centres for a face without overlap, in widths of the prediction.
        public var maxJump: Double
        /// The number of frames without its face after which a track ends.
        public var maxMissed: Int
        /// The number of frames with its face from which a track is reported.
        public var confirmation: Int
        /// How far a velocity moves towards the latest motion with each frame, 0 to 1.
        public var smoothing: Double

        /// Creates settings.
        public init(
            minOverlap: Double = 0.3, maxJump: Double = 0.75, maxMissed: Int = 10, confirmation: Int = 2,
            smoothing: Double = 0.5
        ) {
            self.minOverlap = minOverlap
            self.maxJump = maxJump
            self.maxMissed = maxMissed
            self.confirmation = confirmation
            self.smoothing = smoothing
        }
    }

    /// The settings of the tracker.
    public let settings: Settings
    /// The tracks that have not ended, the oldest first.
    public private(set) var tracks: [Track] = []
    private var nextID = 1

    /// Creates a tracker without tracks.
    public init(_ settings: Settings = Settings()) {
        self.settings = settings
    }

    /// The tracks that were seen in enough frames, the oldest first.
    public var confirmed: [Track] {
        tracks.filter { $0.hits >= settings.confirmation }
    }

    /// Assigns the faces of the next frame to tracks; starts tracks for the others, and ends tracks without faces.
    ///
    /// - Parameter faces: The faces of the frame.
    /// - Returns: The id of the track of each face, in the order of `faces`.
    @discardableResult
    public mutating func update(_ faces: [Face]) -> [Int] {
        for place in tracks.indices {
            tracks[place].predict()
        }
        var ids = [Int](repeating: 0, count: faces.count)
        for (track, face) in assignments(of: faces) {
            tracks[track].see(faces[face], smoothing: settings.smoothing)
            ids[face] = tracks[track].id
        }
        for face in faces.indices where ids[face] == 0 {
            tracks.append(Track(id: nextID, face: faces[face]))
            ids[face] = nextID
            nextID += 1
        }
        let maxMissed = settings.maxMissed
        tracks.removeAll { $0.missed > maxMissed }
        return ids
    }

    /// Changes a track, for example to add evidence of its identity or a captured frame.
    public mutating func change(track id: Int, _ change: (inout Track) -> Void) {
        if let place = tracks.firstIndex(where: { $0.id == id }) {
            change(&tracks[place])
        }
    }

    /// Returns pairs of track and face, each at most once, the best pairs first.
    private func assignments(of faces: [Face]) -> [(track: Int, face: Int)] {
        var pairs: [(score: Double, track: Int, face: Int)] = []
        for track in tracks.indices {
            for face in faces.indices {
                if let score = score(tracks[track].predicted, faces[face].box) {
                    pairs.append((score, track, face))
                }
            }
        }
        pairs.sort { ($1.score, $0.track, $0.face) < ($0.score, $1.track, $1.face) }
        var usedTracks = Set<Int>(), usedFaces = Set<Int>(), chosen: [(track: Int, face: Int)] = []
        for pair in pairs where !usedTracks.contains(pair.track) && !usedFaces.contains(pair.face) {
            usedTracks.insert(pair.track)
            usedFaces.insert(pair.face)
            chosen.append((pair.track, pair.face))
        }
        return chosen
    }

    /// Returns how well a box fits a prediction, or `nil` if it does not: overlap, or below it the nearness of centres.
    private func score(_ predicted: Box, _ box: Box) -> Double? {
        let overlap = intersectionOverUnion(predicted, box)
        if overlap >= settings.minOverlap {
            return 1 + overlap
        }
        let side = Double(max(predicted.width, predicted.height, 1))
        let jump = hypot(Double(predicted.centreX - box.centreX), Double(predicted.centreY - box.centreY)) / side
        let growth = Double(max(box.width, 1) / max(predicted.width, 1))
        return jump <= settings.maxJump && (0.5...2).contains(growth) ? 1 - jump : nil
    }
}

/// One face across frames.
public struct Track: Equatable, Sendable, Identifiable {
    /// A number that is unique within the tracker.
    public let id: Int
    /// The face as it was last seen.
    public private(set) var face: Face
    /// Where the face is expected in the present frame; where it was seen, if it was.
    public private(set) var predicted: Box
    /// The number of frames in which the face was seen.
    public private(set) var hits = 1
    /// The number of frames since the face was last seen.
    public private(set) var missed = 0
    /// What is known of the identity.
    public var identity = IdentityEvidence()
    /// The best frame so far.
    public var best: Capture?
    private var velocity: [Float] = [0, 0, 0, 0] // centre x and y, width, height per frame

    init(id: Int, face: Face) {
        self.id = id
        self.face = face
        predicted = face.box
    }

    /// Keeps a frame if it is better than the best one so far.
    ///
    /// - Returns: Whether it was kept.
    @discardableResult
    public mutating func offer(_ capture: Capture) -> Bool {
        guard capture.quality.score > (best?.quality.score ?? -1) else { return false }
        best = capture
        return true
    }

    mutating func predict() {
        missed += 1
        predicted = Box(
            centreX: predicted.centreX + velocity[0], centreY: predicted.centreY + velocity[1],
            width: max(predicted.width + velocity[2], 1), height: max(predicted.height + velocity[3], 1)
        )
    }

    mutating func see(_ face: Face, smoothing: Double) {
        let before = self.face.box, now = face.box, frames = Float(max(missed, 1)), share = Float(smoothing)
        let motion = [
            now.centreX - before.centreX, now.centreY - before.centreY, now.width - before.width,
            now.height - before.height,
        ]
        for place in 0..<4 {
            velocity[place] += share * (motion[place] / frames - velocity[place])
        }
        self.face = face
        predicted = now
        hits += 1
        missed = 0
    }
}

/// A frame of a track that is worth keeping: the crop with its quality and vector.
public struct Capture: Equatable, Sendable {
    /// The face in the frame.
    public let face: Face
    /// The quality of the face.
    public let quality: FaceQuality
    /// The number or time of the frame.
    public let frame: Int
    /// The face as an image, or `nil` if it was not kept.
    public let thumbnail: Pixels?
    /// The embedding of the face, or `nil` if it was not computed.
    public let vector: [Float]?

    /// Creates a capture.
    public init(face: Face, quality: FaceQuality, frame: Int, thumbnail: Pixels? = nil, vector: [Float]? = nil) {
        self.face = face
        self.quality = quality
        self.frame = frame
        self.thumbnail = thumbnail
        self.vector = vector
    }
}

/// Returns the intersection over union of two boxes, 0 to 1.
public func intersectionOverUnion(_ first: Box, _ second: Box) -> Double {
    let across = Double(min(first.x1, second.x1)) - Double(max(first.x0, second.x0))
    let down = Double(min(first.y1, second.y1)) - Double(max(first.y0, second.y0))
    let common = max(across, 0) * max(down, 0)
    let union = Double(first.area) + Double(second.area) - common
    return union > 0 ? common / union : 0
}

extension Box {
    var centreX: Float { (x0 + x1) / 2 }
    var centreY: Float { (y0 + y1) / 2 }

    init(centreX: Float, centreY: Float, width: Float, height: Float) {
        self.init(x0: centreX - width / 2, y0: centreY - height / 2, x1: centreX + width / 2, y1: centreY + height / 2)
    }
}
