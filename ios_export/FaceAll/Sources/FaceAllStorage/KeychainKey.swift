#if canImport(CryptoKit) && canImport(Security)
import CryptoKit
import FaceAllCore
import Foundation
import Security

/// The key of a gallery in the keychain: usable while the phone is unlocked, and never copied to another device.
public struct KeychainKey: Sendable {
    private let account: String
    private let service: String

    /// Creates a description of a key; nothing is read or written.
    public init(account: String = "gallery", service: String = "FaceAll") {
        self.account = account
        self.service = service
    }

    /// Returns the key, which is made if there is none.
    ///
    /// - Throws: `FaceAllError.wrongKey` if the keychain refuses.
    public func loadOrCreate() throws -> SymmetricKey {
        if let known = try load() {
            return known
        }
        let key = SymmetricKey(size: .bits256)
        var item = query
        item[kSecValueData as String] = key.withUnsafeBytes { Data($0) }
        item[kSecAttrAccessible as String] = kSecAttrAccessibleWhenUnlockedThisDeviceOnly
        let status = SecItemAdd(item as CFDictionary, nil)
        guard status == errSecSuccess else { throw refused(status) }
        return key
    }

    /// Returns the key, or `nil` if there is none.
    ///
    /// - Throws: `FaceAllError.wrongKey` if the keychain refuses, as while the phone is locked.
    public func load() throws -> SymmetricKey? {
        var item = query
        item[kSecReturnData as String] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(item as CFDictionary, &found)
        if status == errSecItemNotFound {
            return nil
        }
        guard status == errSecSuccess, let data = found as? Data else { throw refused(status) }
        return SymmetricKey(data: data)
    }

    /// Deletes the key: files that it encrypted cannot be read again.
    public func delete() throws {
        let status = SecItemDelete(query as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw refused(status) }
    }

    private var query: [String: Any] {
        [
            kSecClass as String: kSecClassGenericPassword, kSecAttrAccount as String: account,
            kSecAttrService as String: service,
        ]
    }

    private func refused(_ status: OSStatus) -> FaceAllError {
        .wrongKey("the keychain refused the gallery's key (status \(status)): is the phone unlocked?")
    }
}
#endif
