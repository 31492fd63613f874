import Foundation

/// A face detector, such as MTCNN or Vision.
public protocol FaceFinding: Sendable {
    /// Returns every face in an image, best first.
    func faces(in image: Pixels) async throws -> [Face]
}

/// An embedder: makes unit vectors from the crops of faces.
public protocol FaceEmbedding: Sendable {
    /// The description of the embedder, with its crop rule or alignment.
    var manifest: Manifest { get }
    /// Returns one unit vector for each crop.
    func embed(crops: [Pixels]) async throws -> [[Float]]
}

extension Detector: FaceFinding {
    /// Returns every face of an image, best first.
    public func faces(in image: Pixels) async throws -> [Face] {
        try await detect(in: image)
    }
}

extension FaceEmbedding {
    /// Returns the vectors of faces of an image, in the same order.
    public func embed(_ faces: [Face], of image: Pixels) async throws -> [[Float]] {
        if faces.isEmpty {
            return []
        }
        return try await embed(crops: try faces.map { try manifest.crop($0, from: image) })
    }
}

/// A face of an image and its match in the gallery.
public struct Recognition: Equatable, Sendable {
    /// The face.
    public let face: Face
    /// The match, or `nil` if no face of a person is within the limit.
    public let match: Match?
}

/// A face of an image with what is known of it.
public struct IdentifiedFace: Equatable, Sendable {
    /// The face.
    public let face: Face
    /// The embedding of the face, of unit length.
    public let vector: [Float]
    /// The quality of the face.
    public let quality: FaceQuality
    /// The most probable people, each with a decision.
    public let people: [Identification]

    /// The most probable person, unless the decision is unknown.
    public var best: Identification? { people.first { $0.decision != .unknown } }
}

/// Recognises and enrols people with a detector, an embedder and a gallery file, which is saved after every change.
public actor Recogniser {
    private let finder: FaceFinding
    private let embedder: FaceEmbedding
    private let encodeJPEG: @Sendable (Pixels) throws -> Data
    private let file: GalleryFile
    /// The gallery as it was last saved.
    public private(set) var gallery: Gallery
    /// The false-positive identification rate of decisions: the share of searches of strangers that give a match.
    public var fpir = StrangerScores.targetFPIR {
        didSet { identified = nil }
    }
    private var identified: MatchThreshold? // computed once for each state of the gallery

    /// Opens the gallery, or creates an empty one if the file does not exist.
    ///
    /// - Parameters:
    ///   - finder: The face detector.
    ///   - embedder: The embedder.
    ///   - model: The description of the embedder for the gallery, from the package's contract.
    ///   - url: The file of the gallery.
    ///   - sealing: Encrypts the file, or `nil` to rely on the file protection of the system alone.
    ///   - encodeJPEG: Encodes thumbnails.
    /// - Throws: `FaceAllError.otherModel` if the file has vectors of another model, `wrongKey` if it is encrypted with
    ///   another key, `badGallery` if it is damaged.
    public init(
        finder: FaceFinding, embedder: FaceEmbedding, model: GalleryModel, url: URL,
        sealing: (any GallerySealing)? = nil, encodeJPEG: @escaping @Sendable (Pixels) throws -> Data
    ) throws {
        self.finder = finder
        self.embedder = embedder
        self.encodeJPEG = encodeJPEG
        file = GalleryFile(url, sealing: sealing)
        if file.exists {
            let found = try file.load()
            guard found.model.fingerprint == model.fingerprint else {
                throw FaceAllError.otherModel(
                    "the gallery was made with '\(found.model.name)', the app has '\(model.name)':"
                        + " enrol everyone again, or import a bundle of the new model"
                )
            }
            gallery = found
        } else {
            let manifest = embedder.manifest
            gallery = try Gallery(model: model, size: manifest.embeddingSize, threshold: manifest.matchThreshold)
        }
    }

    /// Returns every face of an image with its match.
    ///
    /// - Parameters:
    ///   - image: The image.
    ///   - limit: The largest squared distance of a match; the default is the gallery's threshold, or 1.1 without one.
    public func recognise(_ image: Pixels, limit: Double? = nil) async throws -> [Recognition] {
        let faces = try await finder.faces(in: image)
        let vectors = try await embedder.embed(faces, of: image)
        return try zip(faces, vectors).map { face, vector in
            Recognition(face: face, match: try gallery.recognise(vector, limit: limit))
        }
    }

    /// Returns every face of an image with its vector, its quality and the most probable people.
    ///
    /// - Parameter image: The image.
    public func identify(_ image: Pixels) async throws -> [IdentifiedFace] {
        let faces = try await finder.faces(in: image)
        let vectors = try await embedder.embed(faces, of: image)
        let threshold = try matchThreshold()
        return try zip(faces, vectors).map { face, vector in
            let quality = try FaceQuality(face, in: image)
            let people = try gallery.identify(vector, threshold: threshold, isPoor: !quality.notes.isEmpty)
            return IdentifiedFace(face: face, vector: vector, quality: quality, people: people)
        }
    }

    /// Returns the threshold of decisions for the rate `fpir`; without a distribution of the model a fixed distance.
    public func matchThreshold() throws -> MatchThreshold {
        if let identified {
            return identified
        }
        let made = try gallery.matchThreshold(fpir: fpir) ?? MatchThreshold(distance: 1.1)
        identified = made
        return made
    }

    /// Sets the false-positive identification rate of decisions, above 0, at most 0.5.
    public func decide(atFPIR rate: Double) {
        fpir = min(max(rate, 1e-6), 0.5)
    }

    /// Assigns the primary face of each of several images to the person of a name, all or nothing.
    ///
    /// - Parameters:
    ///   - captures: Images with their original bytes and file names.
    ///   - name: The name of the person, who is created if there is none.
    /// - Returns: The stored faces; images without a face, or with a face of poor quality beside better ones, give none.
    @discardableResult
    public func enrol(_ captures: [(image: Pixels, file: Data, fileName: String)], name: String) async throws
        -> [StoredFace]
    {
        var found: [(face: Face, vector: [Float], photo: Photo, jpeg: Data, isPoor: Bool)] = []
        for capture in captures {
            let faces = try await finder.faces(in: capture.image), image = capture.image
            guard let primary = primaryFace(faces, width: image.width, height: image.height) else { continue }
            let vector = try await embedder.embed([faces[primary]], of: image)[0]
            let jpeg = try encodeJPEG(try thumbnail(of: faces[primary], in: image))
            let photo = Photo(
                name: capture.fileName, sha256: sha256(capture.file), width: image.width, height: image.height
            )
            let isPoor = !(try FaceQuality(faces[primary], in: image)).notes.isEmpty
            found.append((faces[primary], vector, photo, jpeg, isPoor))
        }
        let good = found.filter { !$0.isPoor }, chosen = good.isEmpty ? Array(found.prefix(1)) : good
        return try change { gallery in
            try chosen.map {
                try gallery.enrol($0.face, vector: $0.vector, name: name, photo: $0.photo, thumbnail: $0.jpeg)
            }
        }
    }

    /// Assigns the primary face of an image to the person of a name and saves the gallery.
    ///
    /// - Parameters:
    ///   - image: The image.
    ///   - name: The name of the person, who is created if there is none.
    ///   - file: The original bytes of the image; the same bytes are recognised as the same photo.
    ///   - fileName: The file name to store, without its folder.
    /// - Returns: The stored face, or `nil` if the image shows no face.
    @discardableResult
    public func enrol(_ image: Pixels, name: String, file: Data, fileName: String) async throws -> StoredFace? {
        let faces = try await finder.faces(in: image)
        guard let primary = primaryFace(faces, width: image.width, height: image.height) else { return nil }
        let vectors = try await embedder.embed([faces[primary]], of: image)
        let jpeg = try encodeJPEG(try thumbnail(of: faces[primary], in: image))
        let photo = Photo(name: fileName, sha256: sha256(file), width: image.width, height: image.height)
        return try change { gallery in
            try gallery.enrol(faces[primary], vector: vectors[0], name: name, photo: photo, thumbnail: jpeg)
        }
    }

    /// Changes the gallery and saves it. If an error is thrown, the gallery and the file are unchanged.
    @discardableResult
    public func change<Value: Sendable>(_ change: @Sendable (inout Gallery) throws -> Value) throws -> Value {
        var changed = gallery
        let result = try change(&changed)
        try file.save(changed)
        identified = nil
        gallery = changed
        return result
    }
}

/// The side of a thumbnail, in pixels.
public let thumbnailSide = 112

/// Returns a square thumbnail of a face with a margin.
public func thumbnail(of face: Face, in image: Pixels) throws -> Pixels {
    let x0 = Double(face.box.x0), y0 = Double(face.box.y0), x1 = Double(face.box.x1), y1 = Double(face.box.y1)
    let half = max(x1 - x0, y1 - y0, 2) * 0.75 // a quarter of the box on every side
    let centreX = (x0 + x1) / 2, centreY = (y0 + y1) / 2
    let region = Region(x0: centreX - half, y0: centreY - half, x1: centreX + half, y1: centreY + half)
    return try image.cropped(region, width: thumbnailSide, height: thumbnailSide)
}
