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
    public let face: Face
    /// The match, or `nil` if no face of a person is within the limit.
    public let match: Match?
}

/// Recognises and enrols people with a detector, an embedder and a gallery file, which is saved after every change.
public actor Recogniser {
    private let finder: FaceFinding
    private let embedder: FaceEmbedding
    private let encodeJPEG: @Sendable (Pixels) throws -> Data
    private let url: URL
    public private(set) var gallery: Gallery

    /// Opens the gallery, or creates an empty one if the file does not exist.
    ///
    /// - Parameters:
    ///   - finder: The face detector.
    ///   - embedder: The embedder.
    ///   - model: The description of the embedder for the gallery, from the package's contract.
    ///   - url: The file of the gallery.
    ///   - encodeJPEG: Encodes thumbnails.
    /// - Throws: `FaceAllError.otherModel` if the file has vectors of another model, `badGallery` if it is damaged.
    public init(
        finder: FaceFinding, embedder: FaceEmbedding, model: GalleryModel, url: URL,
        encodeJPEG: @escaping @Sendable (Pixels) throws -> Data
    ) throws {
        self.finder = finder
        self.embedder = embedder
        self.encodeJPEG = encodeJPEG
        self.url = url
        if FileManager.default.fileExists(atPath: url.path) {
            let found = try Gallery.load(from: url)
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
        try changed.save(to: url)
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
