@_exported import Foundation

public struct SymmetricKeySize: Sendable {
    public static var bits256: SymmetricKeySize { SymmetricKeySize() }
}

public struct SymmetricKey: Sendable {
    public init(size: SymmetricKeySize) {}
    public init<Bytes: ContiguousBytes>(data: Bytes) {}
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        fatalError("a declaration")
    }
}

public enum AES {
    public enum GCM {
        public struct Nonce: Sendable {}

        public struct SealedBox: Sendable {
            public init<Bytes: DataProtocol>(combined: Bytes) throws {}
            public var combined: Data? { nil }
        }

        public static func seal<Plain: DataProtocol, Header: DataProtocol>(
            _ message: Plain, using key: SymmetricKey, nonce: Nonce? = nil, authenticating header: Header
        ) throws -> SealedBox {
            fatalError("a declaration")
        }

        public static func open<Header: DataProtocol>(
            _ box: SealedBox, using key: SymmetricKey, authenticating header: Header
        ) throws -> Data {
            Data()
        }
    }
}
