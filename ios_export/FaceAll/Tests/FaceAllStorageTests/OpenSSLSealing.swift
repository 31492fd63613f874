#if os(Linux)
import FaceAllCore
import Foundation
import Glibc
import XCTest

/// AES-GCM of OpenSSL's library in the form of CryptoKit: nonce, encrypted bytes, tag. For tests where CryptoKit is absent.
///
/// The library is opened at run time, so that the tests need no headers.
final class OpenSSLSealing: GallerySealing, @unchecked Sendable {
    private typealias New = @convention(c) () -> OpaquePointer?
    private typealias Free = @convention(c) (OpaquePointer?) -> Void
    private typealias Cipher = @convention(c) () -> OpaquePointer?
    private typealias Start = @convention(c) (
        OpaquePointer?, OpaquePointer?, OpaquePointer?, UnsafePointer<UInt8>?, UnsafePointer<UInt8>?
    ) -> CInt
    private typealias Update = @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<CInt>?, UnsafePointer<UInt8>?, CInt
    ) -> CInt
    private typealias Finish = @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<CInt>?
    ) -> CInt
    private typealias Control = @convention(c) (OpaquePointer?, CInt, CInt, UnsafeMutableRawPointer?) -> CInt

    private static let getTag: CInt = 0x10, setTag: CInt = 0x11

    private struct Refused: Error {}

    private let key: [UInt8]
    private let library: UnsafeMutableRawPointer

    init(key: Data) throws {
        guard let library = dlopen("libcrypto.so.3", RTLD_NOW) else {
            throw XCTSkip("needs OpenSSL 3 (libcrypto.so.3)")
        }
        self.key = [UInt8](key)
        self.library = library
    }

    func seal(_ data: Data, header: Data) throws -> Data {
        var nonce = Data(count: 12)
        for place in 0..<12 {
            nonce[place] = UInt8.random(in: 0...255)
        }
        return try seal(data, header: header, nonce: nonce)
    }

    func seal(_ data: Data, header: Data, nonce: Data) throws -> Data {
        let context = try started("EVP_EncryptInit_ex", nonce)
        defer { free(context) }
        let update: Update = try symbol("EVP_EncryptUpdate"), finish: Finish = try symbol("EVP_EncryptFinal_ex")
        let control: Control = try symbol("EVP_CIPHER_CTX_ctrl")
        var count: CInt = 0, result = [UInt8](repeating: 0, count: data.count + 16), tag = [UInt8](repeating: 0, count: 16)
        try check(update(context, nil, &count, [UInt8](header), CInt(header.count)))
        try check(update(context, &result, &count, [UInt8](data), CInt(data.count)))
        var rest: CInt = 0
        var end = [UInt8](repeating: 0, count: 16)
        try check(finish(context, &end, &rest))
        try check(control(context, OpenSSLSealing.getTag, 16, &tag))
        return nonce + Data(result.prefix(data.count)) + Data(tag)
    }

    func open(_ sealed: Data, header: Data) throws -> Data {
        guard sealed.count >= 28 else { throw Refused() }
        let nonce = Data(sealed.prefix(12)), content = [UInt8](sealed.dropFirst(12).dropLast(16))
        var tag = [UInt8](sealed.suffix(16))
        let context = try started("EVP_DecryptInit_ex", nonce)
        defer { free(context) }
        let update: Update = try symbol("EVP_DecryptUpdate"), finish: Finish = try symbol("EVP_DecryptFinal_ex")
        let control: Control = try symbol("EVP_CIPHER_CTX_ctrl")
        var count: CInt = 0, result = [UInt8](repeating: 0, count: content.count + 16)
        try check(update(context, nil, &count, [UInt8](header), CInt(header.count)))
        try check(update(context, &result, &count, content, CInt(content.count)))
        try check(control(context, OpenSSLSealing.setTag, 16, &tag))
        var rest: CInt = 0
        var end = [UInt8](repeating: 0, count: 16)
        try check(finish(context, &end, &rest))
        return Data(result.prefix(content.count))
    }

    private func started(_ name: String, _ nonce: Data) throws -> OpaquePointer? {
        let new: New = try symbol("EVP_CIPHER_CTX_new"), cipher: Cipher = try symbol("EVP_aes_256_gcm")
        let start: Start = try symbol(name)
        let context = new()
        try check(start(context, cipher(), nil, key, [UInt8](nonce)))
        return context
    }

    private func free(_ context: OpaquePointer?) {
        if let free: Free = try? symbol("EVP_CIPHER_CTX_free") {
            free(context)
        }
    }

    private func symbol<Function>(_ name: String) throws -> Function {
        guard let address = dlsym(library, name) else { throw Refused() }
        return unsafeBitCast(address, to: Function.self)
    }

    private func check(_ status: CInt) throws {
        guard status == 1 else { throw Refused() }
    }
}
#endif
