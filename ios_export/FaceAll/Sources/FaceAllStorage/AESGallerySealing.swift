#if canImport(CryptoKit) || canImport(Crypto)
#if canImport(CryptoKit)
import CryptoKit
#else
@preconcurrency import Crypto // swift-crypto has the same interface; early versions have no Sendable keys
#endif
import FaceAllCore
import Foundation

/// Encryption of gallery files by AES-GCM with a key of 256 bits.
public struct AESGallerySealing: GallerySealing {
    private let key: SymmetricKey

    /// Creates an encryption with a key of 256 bits.
    public init(key: SymmetricKey) {
        self.key = key
    }

    /// Returns nonce, encrypted bytes and tag.
    public func seal(_ data: Data, header: Data) throws -> Data {
        guard let combined = try AES.GCM.seal(data, using: key, authenticating: header).combined else {
            throw FaceAllError.wrongKey("the gallery cannot be encrypted")
        }
        return combined
    }

    /// Returns the decrypted bytes; throws if the key is another one or a byte was changed.
    public func open(_ sealed: Data, header: Data) throws -> Data {
        try AES.GCM.open(try AES.GCM.SealedBox(combined: sealed), using: key, authenticating: header)
    }
}
#endif
