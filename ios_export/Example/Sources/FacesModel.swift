import AVFoundation
import FaceAllCore
import FaceAllCoreML
import Foundation
import ImageIO

/// The state of the app: the faces in front of the camera and the people of the gallery.
@MainActor
final class FacesModel: ObservableObject {
    @Published private(set) var recognitions: [Recognition] = []
    @Published private(set) var frameSize = CGSize(width: 1, height: 1)
    @Published private(set) var people: [Person] = []
    @Published private(set) var isReady = false
    @Published var message: String?

    let camera = Camera()
    private var recogniser: Recogniser?
    private var converter: ImageConverter?
    private var lastFrame: Pixels?
    private var isBusy = false

    /// Loads the models, checks the embedder with the golden crops, opens the gallery and starts the camera.
    func start() async {
        do {
            let package = try ModelPackage()
            let compiled = try CompiledModels()
            let converter = try ImageConverter()
            let embedder = try await CoreMLEmbedder.load(package, compiled: compiled)
            try await package.goldenCrops().check(embedder)
            let nets = try await CoreMLDetectorNets.load(package, compiled: compiled)
            recogniser = try Recogniser(
                finder: try Detector(nets: nets, minFace: 80), embedder: embedder,
                model: try package.contract.galleryModel(), url: try Self.galleryURL(),
                encodeJPEG: { try converter.jpeg($0) }
            )
            self.converter = converter
            await refresh()
            guard await Camera.isAllowed() else {
                message = "FaceAll may not use the camera. Allow it in Settings, Privacy, Camera."
                return
            }
            try camera.start { [weak self] buffer, orientation in
                Task { @MainActor in await self?.analyse(buffer, orientation) }
            }
            isReady = true
        } catch {
            message = error.localizedDescription
        }
    }

    /// Enrols the primary face of the latest frame.
    func enrol(as name: String) async {
        guard let frame = lastFrame, let recogniser else { return }
        do {
            let stored = try await recogniser.enrol(
                frame, name: name, file: Data(frame.values), fileName: "camera-\(Int(Date().timeIntervalSince1970)).rgb"
            )
            message = stored == nil ? "There is no face in the image." : nil
            await refresh()
        } catch {
            message = error.localizedDescription
        }
    }

    func remove(_ person: Person) async {
        await change { try $0.remove(person: person.id) }
    }

    func rename(_ person: Person, to name: String) async {
        await change { try $0.rename(person: person.id, to: name) }
    }

    /// Merges a bundle of `faceall gallery export` into the gallery.
    func importBundle(_ url: URL) async {
        let isScoped = url.startAccessingSecurityScopedResource()
        defer { if isScoped { url.stopAccessingSecurityScopedResource() } }
        do {
            let other = try Gallery(bundle: try Data(contentsOf: url))
            guard let report = try await recogniser?.change({ try $0.merge(other) }) else { return }
            message = "Added \(report.faces) faces and \(report.people) people."
            await refresh()
        } catch {
            message = error.localizedDescription
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
    private func analyse(_ buffer: CVPixelBuffer, _ orientation: CGImagePropertyOrientation) async {
        guard !isBusy, let recogniser, let converter else { return }
        isBusy = true
        defer { isBusy = false }
        do {
            let frame = try converter.pixels(of: buffer, orientation: orientation)
            recognitions = try await recogniser.recognise(frame)
            frameSize = CGSize(width: frame.width, height: frame.height)
            lastFrame = frame
        } catch {
            message = error.localizedDescription
        }
    }

    private func change(_ change: @escaping @Sendable (inout Gallery) throws -> Void) async {
        do {
            try await recogniser?.change(change)
            await refresh()
        } catch {
            message = error.localizedDescription
        }
    }

    private func refresh() async {
        people = await recogniser?.gallery.people.sorted { $0.name < $1.name } ?? []
    }

    private static func galleryURL() throws -> URL {
        let folder = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        )
        return folder.appendingPathComponent("gallery.faceall")
    }
}
