import AVFoundation
import Combine
import FaceAllCore
import FaceAllCoreAI
import FaceAllCoreML
import FaceAllStorage
import FaceAllTracking
import Foundation
import ImageIO

/// A face in front of the camera: where it is, and who it is over several frames.
struct SeenFace: Identifiable, Equatable {
    let id: Int
    let box: Box
    let name: String?
    let decision: Decision
}

/// How sure a name must be.
enum Strictness: String, CaseIterable, Identifiable {
    case lenient, usual, strict

    var id: String { rawValue }

    /// The share of strangers who may get a name.
    var fpir: Double {
        switch self {
        case .lenient: return 0.05
        case .usual: return StrangerScores.targetFPIR
        case .strict: return 0.001
        }
    }

    var title: String {
        switch self {
        case .lenient: return "Lenient: 1 in 20 strangers may get a name"
        case .usual: return "Usual: 1 in 100"
        case .strict: return "Strict: 1 in 1,000"
        }
    }
}

/// The state of the app: the faces in front of the camera and the people of the gallery.
@MainActor
final class FacesModel: ObservableObject {
    /// The number of frames that an enrolment takes.
    static let enrolledFrames = 5

    @Published private(set) var faces: [SeenFace] = []
    @Published private(set) var frameSize = CGSize(width: 1, height: 1)
    /// The people who are not hidden, by name.
    @Published private(set) var people: [Person] = []
    @Published private(set) var hiddenPeople: [Person] = []
    /// Id of a person -> the thumbnail of the face that represents them.
    @Published private(set) var covers: [String: Data] = [:]
    @Published private(set) var history: [Change] = []
    @Published private(set) var review: [ReviewItem] = []
    @Published private(set) var isReady = false
    /// What runs the models, for the settings.
    @Published private(set) var runtime = ""
    @Published var message: String?
    @Published var strictness = Strictness(rawValue: UserDefaults.standard.string(forKey: "strictness") ?? "") ?? .usual {
        didSet {
            UserDefaults.standard.set(strictness.rawValue, forKey: "strictness")
            Task { await applyStrictness() }
        }
    }

    let camera = Camera()
    private var recogniser: Recogniser?
    private var converter: ImageConverter?
    private var tracker = Tracker()
    private var recentFrames: [(image: Pixels, quality: Double)] = []
    private var frameNumber = 0
    private var isBusy = false

    /// Loads the models, checks the embedder with the golden crops, opens the gallery and starts the camera.
    func start() async {
        do {
            let package = try ModelPackage()
            let compiled = try CompiledModels()
            let converter = try ImageConverter()
            let models = try await PackageModels.load(package, compiled: compiled)
            runtime = models.runtime == .coreAI ? "Core AI" : "Core ML"
            recogniser = try Recogniser(
                finder: try models.finder(minFace: 80), embedder: models.embedder,
                model: try package.contract.galleryModel(), url: try Self.galleryURL(),
                sealing: AESGallerySealing(key: try KeychainKey().loadOrCreate()),
                encodeJPEG: { try converter.jpeg($0) }
            )
            self.converter = converter
            await applyStrictness()
            _ = try await recogniser?.change { $0.emptyBin() }
            await refresh()
            guard await Camera.isAllowed() else {
                message = "FaceAll may not use the camera. Allow it in Settings, Privacy, Camera."
                return
            }
            try camera.start { [weak self] frame in
                Task { @MainActor in await self?.analyse(frame) }
            }
            isReady = true
        } catch {
            message = error.localizedDescription
        }
    }

    /// Enrols the primary face of the best recent frames.
    func enrol(as name: String) async {
        guard let recogniser, !recentFrames.isEmpty else { return }
        let best = recentFrames.sorted { $0.quality > $1.quality }.prefix(Self.enrolledFrames)
        let time = Int(Date().timeIntervalSince1970)
        let captures = best.enumerated().map { number, frame in
            (image: frame.image, file: Data(frame.image.values), fileName: "camera-\(time)-\(number).rgb")
        }
        await showErrors {
            let stored = try await recogniser.enrol(captures, name: name)
            self.message = stored.isEmpty ? "There is no face in the image." : "Enrolled \(stored.count) frames."
            self.tracker = Tracker()
        }
    }

    func remove(_ person: Person) async {
        await change { try $0.remove(person: person.id) }
    }

    func rename(_ person: Person, to name: String) async {
        await change { try $0.rename(person: person.id, to: name) }
    }

    func merge(_ person: Person, into other: Person) async {
        await change { try $0.merge(person: person.id, into: other.id) }
    }

    /// Hides a person, or shows them again.
    func hide(_ person: Person, hidden: Bool = true) async {
        await change { _ = try $0.hide(people: [person.id], hidden: hidden) }
    }

    /// Sets the note and the birth date of a person; empty texts remove them.
    func note(_ note: String, born: String, of person: Person) async {
        await change { gallery in
            try gallery.set(note: note, of: person.id)
            try gallery.set(born: born, of: person.id)
        }
    }

    /// Sets the face that represents a person.
    func cover(_ face: StoredFace, of person: Person) async {
        await change { try $0.set(cover: face.id, of: person.id) }
    }

    /// Returns the faces of a person.
    func faces(of person: Person) async -> [StoredFace] {
        await recogniser?.gallery.faces(of: person.id) ?? []
    }

    /// Hides the face of a question of the review queue.
    func hideFace(of item: ReviewItem) async {
        await change { _ = try $0.hide(faces: [item.face.id]) }
    }

    /// Undoes a change, by default the last one.
    func undo(_ change: Change? = nil) async {
        let id = change?.id
        await self.change { try $0.undo(id) }
    }

    /// Answers a question of the review queue.
    func answer(_ item: ReviewItem, same: Bool) async {
        await change { try $0.answer(item, same: same) }
    }

    /// Returns whether a change can be undone.
    func canUndo(_ change: Change) async -> Bool {
        await recogniser?.gallery.canUndo(change) ?? false
    }

    /// Merges a bundle of `faceall gallery export` into the gallery.
    func importBundle(_ url: URL) async {
        let isScoped = url.startAccessingSecurityScopedResource()
        defer { if isScoped { url.stopAccessingSecurityScopedResource() } }
        await showErrors {
            let other = try Gallery(bundle: try Data(contentsOf: url))
            guard let report = try await self.recogniser?.change({ try $0.merge(other) }) else { return }
            self.message = "Added \(report.faces) faces and \(report.people) people."
        }
    }

    /// Returns the gallery as a bundle for `faceall gallery import`.
    func exportedBundle() async -> Data? {
        do {
            return try await recogniser?.gallery.bundle()
        } catch {
            message = error.localizedDescription
            return nil
        }
    }

    /// Recognises the faces of a frame; the frame is dropped if the previous one is still being analysed.
    private func analyse(_ shot: Camera.Frame) async {
        guard !isBusy, let recogniser, let converter else { return }
        isBusy = true
        defer { isBusy = false }
        do {
            let frame = try converter.pixels(of: shot.buffer, orientation: shot.orientation)
            let found = try await recogniser.identify(frame)
            let gallery = await recogniser.gallery, threshold = try await recogniser.matchThreshold()
            frameNumber += 1
            let ids = tracker.update(found.map(\.face))
            for (id, face) in zip(ids, found) {
                let capture = Capture(face: face.face, quality: face.quality, frame: frameNumber, vector: face.vector)
                tracker.change(track: id) { track in
                    track.identity.add(face.vector, quality: face.quality)
                    track.offer(capture)
                }
            }
            faces = try tracker.confirmed.filter { $0.missed == 0 }.map { track in
                let known = try track.identity.decide(in: gallery, threshold: threshold)
                let decision = known?.decision ?? .unknown
                let name = decision == .unknown ? nil : known?.person.name
                return SeenFace(id: track.id, box: track.face.box, name: name, decision: decision)
            }
            keep(frame, quality: found.map(\.quality.score).max() ?? 0)
            frameSize = CGSize(width: frame.width, height: frame.height)
        } catch {
            message = error.localizedDescription
        }
    }

    /// Keeps the recent frames with a face, of which the best are enrolled.
    private func keep(_ frame: Pixels, quality: Double) {
        guard quality > 0 else { return }
        recentFrames.append((frame, quality))
        if recentFrames.count > 3 * Self.enrolledFrames {
            recentFrames.removeFirst()
        }
    }

    private func applyStrictness() async {
        await recogniser?.decide(atFPIR: strictness.fpir)
        await refresh()
    }

    private func change<Value: Sendable>(_ change: @escaping @Sendable (inout Gallery) throws -> Value) async {
        await showErrors { _ = try await self.recogniser?.change(change) }
    }

    private func showErrors(_ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            message = error.localizedDescription
        }
        await refresh()
    }

    private func refresh() async {
        guard let recogniser else { return }
        let gallery = await recogniser.gallery
        people = gallery.shownPeople.sorted { $0.name < $1.name }
        hiddenPeople = gallery.hiddenPeople.sorted { $0.name < $1.name }
        covers = Dictionary(uniqueKeysWithValues: gallery.people.map { ($0.id, gallery.cover(of: $0.id)?.thumbnail ?? Data()) })
        history = gallery.history
        do {
            review = try gallery.reviewQueue(threshold: try await recogniser.matchThreshold())
        } catch {
            message = error.localizedDescription
        }
    }

    private static func galleryURL() throws -> URL {
        let folder = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        )
        return folder.appendingPathComponent("gallery.faceall")
    }
}
