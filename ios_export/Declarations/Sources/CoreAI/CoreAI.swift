@_exported import Foundation

// As in Apple's documentation of Core AI for iOS 27: developer.apple.com/documentation/coreai
// `Span` is part of the standard library from Swift 6.2 on; older compilers check against this one.
#if !compiler(>=6.2)
public struct Span<Element> {
    public var count: Int { 0 }
    public subscript(position: Int) -> Element { fatalError("a declaration") }
}
#endif

@available(iOS 27.0, macOS 27.0, *)
public struct SpecializationOptions: Sendable {
    public static let `default` = SpecializationOptions()
    public static let cpuOnly = SpecializationOptions()
}

@available(iOS 27.0, macOS 27.0, *)
public struct AIModel: Sendable {
    public init(contentsOf modelURL: URL, options: SpecializationOptions = .default) async throws {}
    public func loadFunction(named functionName: String) throws -> InferenceFunction? { nil }
}

@available(iOS 27.0, macOS 27.0, *)
public struct NDArray {
    public enum ScalarType { case float32, float16, uint8 }

    public init<Scalar>(scalars: some Sequence<Scalar>, shape: [Int]) where Scalar: BitwiseCopyable {}
    public var scalarType: ScalarType { .float32 }
    public func view<T>(as type: T.Type = T.self) -> View<T> where T: BitwiseCopyable { View() }

    public struct View<Element> where Element: BitwiseCopyable {
        public func withUnsafePointer<R, E>(
            _ body: (UnsafePointer<Element>, Span<Int>, Span<Int>) throws(E) -> R
        ) throws(E) -> R where E: Error {
            fatalError("a declaration")
        }
    }
}

@available(iOS 27.0, macOS 27.0, *)
public struct InferenceValue {
    public var ndArray: NDArray? { nil }
}

@available(iOS 27.0, macOS 27.0, *)
public struct InferenceFunction: Sendable {
    public struct MutableViews: ~Copyable {
        public init() {}
    }

    public struct Outputs {
        public mutating func remove(_ name: String) -> InferenceValue? { nil }
    }

    public func run(
        inputs: [String: NDArray], states: consuming MutableViews = MutableViews(),
        outputViews: consuming MutableViews = MutableViews()
    ) async throws -> Outputs {
        fatalError("a declaration")
    }
}
