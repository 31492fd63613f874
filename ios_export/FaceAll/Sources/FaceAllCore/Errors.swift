import Foundation

/// Everything that FaceAll refuses on purpose; the description is one line that a person can act on.
public enum FaceAllError: Error, Equatable, Sendable {
    /// A picture cannot be used.
    case badPicture(String)
    /// The description of a model is damaged or of a newer faceall.
    case badManifest(String)
    /// A model is absent or gives something else than its description says.
    case badModel(String)
    /// A gallery's file is damaged, or a vector does not belong into it.
    case badGallery(String)
    /// The file was written by a newer faceall.
    case newerFile(String)
    /// Vectors of two different models cannot be compared.
    case otherModel(String)
    /// There is no such person or face.
    case unknown(String)
}

extension FaceAllError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case let .badPicture(text), let .badManifest(text), let .badModel(text), let .badGallery(text),
             let .newerFile(text), let .otherModel(text), let .unknown(text):
            return text
        }
    }

    public var errorDescription: String? { description }
}
