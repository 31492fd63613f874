#if canImport(CryptoKit)
import CryptoKit
import FaceAllCore
import Foundation

/// Encryption of gallery files by AES-GCM with a key of 256 bits.
public struct AESGallerySealing: GallerySealing {
    private let key: SymmetricKey

    public init(key: SymmetricKey) {
        self.key = key
    }

    public func seal(_ data: Data, header: Data) throws -> Data {
        guard let combined = try AES.GCM.seal(data, using: key, authenticating: header).combined else {
            throw FaceAllError.wrongKey("the gallery cannot be encrypted")
        }
        return combined
    }

    public func open(_ sealed: Data, header: Data) throws -> Data {
        try AES.GCM.open(try AES.GCM.SealedBox(combined: sealed), using: key, authenticating: header)
    }
}
#endif
