import Foundation

/// Whatever finds faces in a picture, best first: MTCNN's nets or Vision.
public protocol FaceFinding: Sendable {
    func faces(in picture: Pixels) async throws -> [Face]
}

/// Whatever makes unit vectors of faces that are cut out as the manifest says.
public protocol FaceEmbedding: Sendable {
    var manifest: Manifest { get }
    func embed(crops: [Pixels]) async throws -> [[Float]]
}

extension Detector: FaceFinding {
    public func faces(in picture: Pixels) async throws -> [Face] {
        try await detect(in: picture)
    }
}

extension FaceEmbedding {
    /// The vectors of some faces of a picture.
    public func embed(_ faces: [Face], of picture: Pixels) async throws -> [[Float]] {
        if faces.isEmpty {
            return []
        }
        return try await embed(crops: try faces.map { try manifest.crop($0, from: picture) })
    }
}

/// A face of a picture, and who that is.
public struct Recognition: Equatable, Sendable {
    public let face: Face
    /// nil where nobody of the gallery is near enough.
    public let match: Match?
}

/// The whole way from a picture to names, and a gallery in a file that is saved after every change.
public actor Recogniser {
    private let finder: FaceFinding
    private let embedder: FaceEmbedding
    private let encodeJPEG: @Sendable (Pixels) throws -> Data
    private let url: URL
    public private(set) var gallery: Gallery

    /// - Parameters:
    ///   - url: the gallery's file; where there is none, an empty gallery begins
    ///   - model: what the gallery is to say of the embedder, from the package's contract
    ///   - encodeJPEG: makes thumbnails
    /// - Throws: `FaceAllError.otherModel` where the file holds another model's vectors.
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
                    "the gallery was made with '\(found.model.name)', the app brings '\(model.name)':"
                        + " enrol everybody again, or import a bundle of the new model"
                )
            }
            gallery = found
        } else {
            let manifest = embedder.manifest
            gallery = try Gallery(model: model, size: manifest.embeddingSize, threshold: manifest.matchThreshold)
        }
    }

    /// Every face of a picture with the person it is taken for.
    public func recognise(_ picture: Pixels, limit: Double? = nil) async throws -> [Recognition] {
        let faces = try await finder.faces(in: picture)
        let vectors = try await embedder.embed(faces, of: picture)
        return try zip(faces, vectors).map { face, vector in
            Recognition(face: face, match: try gallery.recognise(vector, limit: limit))
        }
    }

    /// File the chief face of a picture under a name.
    ///
    /// - Parameters:
    ///   - file: the picture's bytes as they came, which tell the same picture again
    /// - Returns: nil where the picture shows no face
    @discardableResult
    public func enrol(_ picture: Pixels, name: String, file: Data, fileName: String) async throws -> StoredFace? {
        let faces = try await finder.faces(in: picture)
        guard let chief = chiefFace(faces, width: picture.width, height: picture.height) else { return nil }
        let vectors = try await embedder.embed([faces[chief]], of: picture)
        let jpeg = try encodeJPEG(try thumbnail(of: faces[chief], in: picture))
        let photo = Photo(name: fileName, sha256: sha256(file), width: picture.width, height: picture.height)
        return try change { gallery in
            try gallery.enrol(faces[chief], vector: vectors[0], name: name, photo: photo, thumbnail: jpeg)
        }
    }

    /// Change the gallery and save it; an error leaves both as they were.
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

/// A square with a face and some of what is around it.
public func thumbnail(of face: Face, in picture: Pixels) throws -> Pixels {
    let x0 = Double(face.box.x0), y0 = Double(face.box.y0), x1 = Double(face.box.x1), y1 = Double(face.box.y1)
    let half = max(x1 - x0, y1 - y0, 2) * 0.75 // a quarter of the box on every side
    let centreX = (x0 + x1) / 2, centreY = (y0 + y1) / 2
    let region = Region(x0: centreX - half, y0: centreY - half, x1: centreX + half, y1: centreY + half)
    return try picture.cropped(region, width: thumbnailSide, height: thumbnailSide)
}
