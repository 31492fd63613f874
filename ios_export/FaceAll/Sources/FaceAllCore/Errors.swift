import Foundation

/// The errors of FaceAll. The description is one line that says what is wrong and what to do.
public enum FaceAllError: Error, Equatable, Sendable {
    /// An image cannot be used.
    case badImage(String)
    /// The description of a model is damaged.
    case badManifest(String)
    /// A model is missing, or its output differs from its description.
    case badModel(String)
    /// The file of a gallery is damaged, or a value cannot be stored in the gallery.
    case badGallery(String)
    /// The file was written by a newer faceall.
    case newerFile(String)
    /// The vectors of two different models cannot be compared.
    case otherModel(String)
    /// The person or face does not exist.
    case unknown(String)
    /// A change cannot be undone.
    case cannotUndo(String)
    /// A protected file cannot be opened with this key, or protection is not available.
    case wrongKey(String)
}

extension FaceAllError: LocalizedError, CustomStringConvertible {
    /// The error as one line.
    public var description: String {
        switch self {
        case let .badImage(text), let .badManifest(text), let .badModel(text), let .badGallery(text),
             let .newerFile(text), let .otherModel(text), let .unknown(text),
             let .cannotUndo(text), let .wrongKey(text):
            return text
        }
    }

    /// The error as one line, for `localizedDescription`.
    public var errorDescription: String? { description }
}
