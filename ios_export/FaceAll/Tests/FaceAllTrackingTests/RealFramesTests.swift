import FaceAllCore
import Foundation
import XCTest
@testable import FaceAllTracking

/// The tracker on MTCNN's faces in frames of real photos: a camera that moves, and heads that pass each other.
///
/// Frames/portrait.json is shipped. FACEALL_FRAMES names another file of tests/ios/golden_frames.py, of any photos.
final class RealFramesTests: XCTestCase {
    private struct Found: Decodable {
        let person: Int // -1: none of the people, -2: not certain
        let box: [Float]
        let score: Float
        let landmarks: [Float]
        let quality: [Double]
        let vector: [Float]?

        var face: Face {
            Face(
                box: Box(x0: box[0], y0: box[1], x1: box[2], y1: box[3]), score: score,
                landmarks: (0..<5).map { Point(x: landmarks[2 * $0], y: landmarks[2 * $0 + 1]) }
            )
        }

        var measured: FaceQuality {
            FaceQuality(
                size: Double(box[2] - box[0] + box[3] - box[1]) / 2, sharpness: quality[0], turn: quality[1],
                cut: quality[2], detection: Double(score)
            )
        }
    }

    private struct Sequence: Decodable {
        struct Known: Decodable { let vector: [Float] }

        let name: String
        let width, height: Int
        let people: [Known]
        let frames: [[Found]]
    }

    private struct File: Decodable { let sequences: [Sequence] }

    /// What happened to the people and tracks of a sequence.
    private struct Outcome {
        var seen = 0 // detections of people
        var switches = 0 // a person's face got another track than at most `gap` frames before
        var returns = 0 // the same, after a longer absence: the person had left the view, or was hidden
        var mixed = 0 // tracks that had faces of two people
        var tracks = 0
        var wrongFrames = 0, wrongTracks = 0, decidedFrames = 0, decidedTracks = 0
        var wrongBest = 0 // tracks whose best frame is not the one of the best quality
    }

    private static let gap = 3

    private func sequences(_ data: Data) throws -> [Sequence] {
        try JSONDecoder().decode(File.self, from: data).sequences
    }

    private func shipped() throws -> [Sequence] {
        let url = try XCTUnwrap(Bundle.module.url(forResource: "Frames/portrait.json", withExtension: nil))
        return try sequences(try Data(contentsOf: url))
    }

    private func gallery(_ sequence: Sequence) throws -> Gallery? {
        guard let size = sequence.people.first?.vector.count else { return nil }
        let model = GalleryModel(name: "frames", fingerprint: String(repeating: "a", count: 64), manifest: .null)
        var gallery = try Gallery(model: model, size: size, threshold: 1)
        let face = Face(box: Box(x0: 0, y0: 0, x1: 9, y1: 9), score: 1, landmarks: [Point](repeating: Point(x: 1, y: 1), count: 5))
        for (number, person) in sequence.people.enumerated() {
            let photo = Photo(name: "\(number)", sha256: sha256(Data("\(number)".utf8)), width: 10, height: 10)
            try gallery.enrol(
                face, vector: unit(person.vector), name: "\(number)", photo: photo, thumbnail: Data([0xff, 0xd8, 0xff])
            )
        }
        return gallery
    }

    /// A vector of the file, which has six decimals, with the length 1.
    private func unit(_ vector: [Float]) -> [Float] {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }

    /// Follows the faces of a sequence.
    private func follow(_ sequence: Sequence) throws -> Outcome {
        var tracker = Tracker(), outcome = Outcome()
        let gallery = try gallery(sequence), any = MatchThreshold(distance: 4)
        var last: [Int: (track: Int, frame: Int)] = [:] // person -> where they were seen last
        var people: [Int: [Int]] = [:] // track -> the people of its faces
        var best: [Int: (frame: Int, score: Double)] = [:]
        var ended: [Int: Track] = [:]
        for (number, found) in sequence.frames.enumerated() {
            let ids = tracker.update(found.map(\.face))
            for (one, id) in zip(found, ids) {
                people[id, default: []].append(one.person)
                if one.person >= 0 {
                    outcome.seen += 1
                    if let before = last[one.person], before.track != id {
                        let isAway = number - before.frame > Self.gap
                        outcome.switches += isAway ? 0 : 1
                        outcome.returns += isAway ? 1 : 0
                    }
                    last[one.person] = (id, number)
                }
                let measured = one.measured
                if measured.score > best[id]?.score ?? -1 {
                    best[id] = (number, measured.score)
                }
                tracker.change(track: id) { track in
                    track.offer(Capture(face: one.face, quality: measured, frame: number))
                    if let vector = one.vector {
                        track.identity.add(unit(vector), quality: measured)
                    }
                }
                if let gallery, let vector = one.vector, one.person >= 0 {
                    outcome.decidedFrames += 1
                    let name = try gallery.identify(unit(vector), threshold: any, count: 1).first?.person.name
                    outcome.wrongFrames += name == "\(one.person)" ? 0 : 1
                }
            }
            tracker.tracks.forEach { ended[$0.id] = $0 }
        }
        for (id, track) in ended where track.hits >= tracker.settings.confirmation {
            outcome.tracks += 1
            let own = Set((people[id] ?? []).filter { $0 >= 0 })
            outcome.mixed += own.count > 1 ? 1 : 0
            outcome.wrongBest += track.best?.frame == best[id]?.frame ? 0 : 1
            if let gallery, let person = own.first, own.count == 1 {
                outcome.decidedTracks += 1
                let name = try track.identity.decide(in: gallery, threshold: any)?.person.name
                outcome.wrongTracks += name == "\(person)" ? 0 : 1
            }
        }
        return outcome
    }

    func testACameraThatMovesOverAPhotoKeepsTheTracksOfItsPeople() throws {
        for sequence in try shipped() {
            let outcome = try follow(sequence)
            XCTAssertGreaterThan(outcome.seen, 40, sequence.name)
            XCTAssertEqual(outcome.mixed, 0, sequence.name)
            XCTAssertEqual(outcome.wrongBest, 0, sequence.name)
            XCTAssertLessThanOrEqual(outcome.switches, 2, sequence.name)
        }
    }

    func testOverlapAloneWouldLoseMoreTracks() throws {
        var switches = (usual: 0, still: 0)
        for sequence in try shipped() {
            switches.usual += try follow(sequence).switches
            var last: [Int: Int] = [:], tracker = Tracker(Tracker.Settings(minOverlap: 0.5, maxJump: 0, maxMissed: 0, smoothing: 0))
            for found in sequence.frames {
                for (one, id) in zip(found, tracker.update(found.map(\.face))) where one.person >= 0 {
                    switches.still += last[one.person].map { $0 == id ? 0 : 1 } ?? 0
                    last[one.person] = id
                }
            }
        }
        XCTAssertLessThan(switches.usual, switches.still)
    }

    func testPhotosOfSeveralPeople() throws {
        guard let path = ProcessInfo.processInfo.environment["FACEALL_FRAMES"] else {
            throw XCTSkip("FACEALL_FRAMES names no frames: write them with tests/ios/golden_frames.py")
        }
        var total = Outcome()
        for sequence in try sequences(try Data(contentsOf: URL(fileURLWithPath: path))) {
            let outcome = try follow(sequence)
            print(
                "frames: \(sequence.name): \(sequence.people.count) people, \(outcome.seen) faces, \(outcome.tracks) tracks,"
                    + " \(outcome.switches) switches, \(outcome.returns) returns, \(outcome.mixed) mixed; wrong alone \(outcome.wrongFrames) of"
                    + " \(outcome.decidedFrames), over frames \(outcome.wrongTracks) of \(outcome.decidedTracks)"
            )
            XCTAssertEqual(outcome.wrongBest, 0, sequence.name)
            total.seen += outcome.seen
            total.switches += outcome.switches
            total.returns += outcome.returns
            total.mixed += outcome.mixed
            total.tracks += outcome.tracks
            total.wrongFrames += outcome.wrongFrames
            total.decidedFrames += outcome.decidedFrames
            total.wrongTracks += outcome.wrongTracks
            total.decidedTracks += outcome.decidedTracks
        }
        XCTAssertGreaterThan(total.seen, 100)
        XCTAssertLessThanOrEqual(total.switches * 20, total.seen, "at most one switch in twenty faces")
        XCTAssertLessThanOrEqual(total.mixed * 10, total.tracks, "at most one track in ten")
        let alone = Double(total.wrongFrames) / Double(max(total.decidedFrames, 1))
        XCTAssertLessThanOrEqual(Double(total.wrongTracks) / Double(max(total.decidedTracks, 1)), max(alone, 0.05))
    }
}
