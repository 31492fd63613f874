import FaceAllCore
import XCTest
@testable import FaceAllTracking

final class TrackerTests: XCTestCase {
    private func face(_ x: Float, _ y: Float, side: Float = 40, turned: Float = 0) -> Face {
        let eyes = [Point(x: x + 0.3 * side, y: y + 0.4 * side), Point(x: x + 0.7 * side, y: y + 0.4 * side)]
        let nose = Point(x: x + (0.5 + 0.4 * turned) * side, y: y + 0.6 * side)
        let mouth = [Point(x: x + 0.35 * side, y: y + 0.8 * side), Point(x: x + 0.65 * side, y: y + 0.8 * side)]
        return Face(box: Box(x0: x, y0: y, x1: x + side, y1: y + side), score: 0.99, landmarks: eyes + [nose] + mouth)
    }

    private func quality(sharpness: Double = 0.34, size: Double = 112, turn: Double = 0) -> FaceQuality {
        FaceQuality(size: size, sharpness: sharpness, turn: turn, cut: 0, detection: 1)
    }

    // MARK: - Tracks

    func testOverlapIsTheSharedAreaOfBothBoxes() {
        let box = Box(x0: 0, y0: 0, x1: 10, y1: 10)
        XCTAssertEqual(intersectionOverUnion(box, box), 1)
        XCTAssertEqual(intersectionOverUnion(box, Box(x0: 5, y0: 0, x1: 15, y1: 10)), 1.0 / 3, accuracy: 1e-12)
        XCTAssertEqual(intersectionOverUnion(box, Box(x0: 20, y0: 0, x1: 30, y1: 10)), 0)
        XCTAssertEqual(intersectionOverUnion(Box(x0: 0, y0: 0, x1: 0, y1: 0), Box(x0: 0, y0: 0, x1: 0, y1: 0)), 0)
    }

    func testAMovingFaceKeepsItsTrack() {
        var tracker = Tracker()
        for frame in 0..<30 {
            XCTAssertEqual(tracker.update([face(Float(frame) * 12, 50)]), [1], "frame \(frame)")
        }
        XCTAssertEqual(tracker.confirmed.map(\.hits), [30])
    }

    func testAFastFaceIsFollowedByItsMotion() {
        var tracker = Tracker()
        for frame in 0..<10 { // 28 pixels a frame: the boxes of two frames overlap by less than 0.2
            XCTAssertEqual(tracker.update([face(Float(frame) * 28, 50)]), [1], "frame \(frame)")
        }
        XCTAssertEqual(tracker.tracks[0].predicted.x0, 9 * 28)
    }

    func testTwoFacesThatPassEachOtherKeepTheirTracks() {
        var tracker = Tracker()
        for frame in 0..<21 {
            let step = Float(frame) * 10
            let ids = tracker.update([face(step, 50), face(200 - step, 58)])
            XCTAssertEqual(ids, [1, 2], "frame \(frame)")
        }
    }

    func testTheOrderOfFacesDoesNotMatter() {
        var tracker = Tracker()
        XCTAssertEqual(tracker.update([face(0, 0), face(100, 0), face(200, 0)]), [1, 2, 3])
        XCTAssertEqual(tracker.update([face(202, 2), face(1, 1), face(99, 0)]), [3, 1, 2])
    }

    func testAFaceThatIsHiddenForSomeFramesReturnsToItsTrack() {
        var tracker = Tracker(Tracker.Settings(maxMissed: 5))
        for frame in 0..<5 {
            tracker.update([face(Float(frame) * 10, 50)])
        }
        for _ in 5..<9 {
            tracker.update([])
        }
        XCTAssertEqual(tracker.tracks[0].missed, 4)
        XCTAssertEqual(tracker.update([face(90, 50)]), [1], "the motion went on while the face was hidden")
        for _ in 0..<6 {
            tracker.update([])
        }
        XCTAssertEqual(tracker.tracks, [], "a track without a face ends")
        XCTAssertEqual(tracker.update([face(90, 50)]), [2], "ids are not used again")
    }

    func testAFaceElsewhereOrOfAnotherSizeStartsATrack() {
        var tracker = Tracker()
        tracker.update([face(0, 0)])
        XCTAssertEqual(tracker.update([face(150, 0)]), [2])
        XCTAssertEqual(tracker.update([face(150, 0, side: 200)]), [3])
    }

    func testATrackIsConfirmedByASecondFrame() {
        var tracker = Tracker()
        tracker.update([face(0, 0)])
        XCTAssertEqual(tracker.confirmed, [])
        tracker.update([face(1, 0)])
        XCTAssertEqual(tracker.confirmed.map(\.id), [1])
    }

    // MARK: - The best frame

    func testTheBestFrameIsKept() throws {
        var tracker = Tracker()
        let image = try scene()
        var scores: [Double] = []
        for (frame, turned) in [Float(0.8), 0.5, 0.1, 0.4, 0.9].enumerated() {
            let face = face(40, 30, side: 80, turned: turned)
            let quality = try FaceQuality(face, in: image)
            scores.append(quality.score)
            tracker.update([face])
            tracker.change(track: 1) { $0.offer(Capture(face: face, quality: quality, frame: frame)) }
        }
        XCTAssertEqual(tracker.tracks[0].best?.frame, 2, "the most frontal one")
        XCTAssertEqual(tracker.tracks[0].best?.quality.score, scores.max())
    }

    func testABlurredFrameIsWorseThanASharpOne() throws {
        let sharp = try scene(), face = face(40, 30, side: 80)
        let blurred = sharp.resized(width: 25, height: 20).resized(width: 200, height: 160)
        XCTAssertLessThan(try FaceQuality(face, in: blurred).score, try FaceQuality(face, in: sharp).score)
    }

    /// An image with edges everywhere.
    private func scene() throws -> Pixels {
        var values: [UInt8] = []
        for row in 0..<160 {
            for column in 0..<200 {
                let gray = UInt8((row / 4 + column / 4) % 2 == 0 ? 60 : 200)
                values += [gray, gray, gray]
            }
        }
        return try Pixels(width: 200, height: 160, values: values)
    }

    // MARK: - One identity over several frames

    private func gallery() throws -> Gallery {
        let model = GalleryModel(name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .null)
        var gallery = try Gallery(model: model, size: 4, threshold: 1)
        for (place, name) in ["Ann", "Bo"].enumerated() {
            let photo = Photo(name: name, sha256: sha256(Data(name.utf8)), width: 10, height: 10)
            let vector = (0..<4).map { Float($0 == place ? 1 : 0) }
            try gallery.enrol(
                face(0, 0), vector: vector, name: name, photo: photo, thumbnail: Data([0xff, 0xd8, 0xff])
            )
        }
        return gallery
    }

    func testSeveralFramesDecideWhatOneCannot() throws {
        let gallery = try gallery(), threshold = MatchThreshold(distance: 0.3, possible: 0.6, fpir: 0.01)
        let frames: [[Float]] = [[0.8, 0, 0.6, 0], [0.8, 0, -0.6, 0], [0.8, 0, 0, 0.6], [0.8, 0, 0, -0.6]]
        var evidence = IdentityEvidence()
        for frame in frames {
            XCTAssertEqual(try gallery.identify(frame, threshold: threshold, count: 1).map(\.decision), [.possible])
            evidence.add(frame, quality: quality())
        }
        let found = try XCTUnwrap(try evidence.decide(in: gallery, threshold: threshold))
        XCTAssertEqual(found.person.name, "Ann")
        XCTAssertEqual(found.decision, .match)
        XCTAssertEqual(found.distance, 0, accuracy: 1e-6)
    }

    func testOneBadFrameDoesNotChangeTheIdentity() throws {
        let gallery = try gallery(), threshold = MatchThreshold(distance: 0.3, possible: 0.6, fpir: 0.01)
        var evidence = IdentityEvidence()
        for _ in 0..<3 {
            evidence.add([1, 0, 0, 0], quality: quality())
        }
        evidence.add([0, 1, 0, 0], quality: quality(sharpness: 0.02))
        let found = try XCTUnwrap(try evidence.decide(in: gallery, threshold: threshold))
        XCTAssertEqual(found.person.name, "Ann")
        XCTAssertEqual(found.decision, .match)
    }

    func testOnlyPoorFramesGiveAPossibleMatch() throws {
        let threshold = MatchThreshold(distance: 0.3, possible: 0.6, fpir: 0.01)
        var evidence = IdentityEvidence()
        evidence.add([1, 0, 0, 0], quality: quality(size: 12))
        XCTAssertTrue(evidence.isPoor)
        XCTAssertEqual(try evidence.decide(in: try gallery(), threshold: threshold)?.decision, .possible)
        XCTAssertNil(try IdentityEvidence().decide(in: try gallery(), threshold: threshold))
    }

    func testTheBestFramesCount() throws {
        var evidence = IdentityEvidence()
        for _ in 0..<20 {
            evidence.add([0, 1, 0, 0], quality: quality(sharpness: 0.05))
        }
        for _ in 0..<IdentityEvidence.mostFrames {
            evidence.add([1, 0, 0, 0], quality: quality())
        }
        XCTAssertEqual(evidence.count, IdentityEvidence.mostFrames)
        XCTAssertEqual(evidence.vector, [1, 0, 0, 0])
    }

    // MARK: - Frames made from an image

    func testASequenceOfFramesGivesOneTrackWithTheBestFrame() throws {
        // a camera that pans over an image: the face moves through the frames, and the last ones are blurred
        let scene = try self.scene()
        var tracker = Tracker()
        for frame in 0..<8 {
            let left = frame * 8
            var view = try scene.cropped(
                Region(x0: Double(left), y0: 0, x1: Double(left + 120), y1: 120), width: 120, height: 120
            )
            if frame > 3 {
                view = view.resized(width: 15, height: 15).resized(width: 120, height: 120)
            }
            let face = face(Float(70 - left), 30, side: 48, turned: frame == 2 ? 0 : 0.3)
            let quality = try FaceQuality(face, in: view)
            XCTAssertEqual(tracker.update([face]), [1])
            let shown = try thumbnail(of: face, in: view)
            tracker.change(track: 1) { track in
                track.offer(Capture(face: face, quality: quality, frame: frame, thumbnail: shown))
            }
        }
        XCTAssertEqual(tracker.tracks.count, 1)
        XCTAssertEqual(tracker.tracks[0].best?.frame, 2)
        XCTAssertEqual(tracker.tracks[0].best?.thumbnail?.width, thumbnailSide)
    }
}
