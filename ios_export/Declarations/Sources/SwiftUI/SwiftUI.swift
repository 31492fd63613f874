@_exported import Combine
@_exported import UIKit
import UniformTypeIdentifiers

// Views, controls and property wrappers; Modifiers.swift has the methods of views.

@MainActor @preconcurrency
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public typealias Body = Never
    public var body: Never { fatalError("a declaration") }
}

/// A view of this module, which has no body.
public protocol Leaf: View where Body == Never {}

extension Leaf {
    public var body: Never { fatalError("a declaration") }
}

public struct EmptyView: Leaf {}

public struct Pack<each Content: View>: Leaf {}

@resultBuilder
public enum ViewBuilder {
    public static func buildBlock() -> EmptyView { EmptyView() }
    public static func buildBlock<Content: View>(_ content: Content) -> Content { content }
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> Pack<repeat each Content> {
        Pack()
    }
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }
    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }
    public static func buildEither<First: View, Second: View>(first: First) -> Either<First, Second> { Either() }
    public static func buildEither<First: View, Second: View>(second: Second) -> Either<First, Second> { Either() }
}

public struct Either<First: View, Second: View>: Leaf {}

extension Optional: View where Wrapped: View {
    public var body: Never { fatalError("a declaration") }
}

// MARK: - Apps

@MainActor @preconcurrency
public protocol Scene {}

public struct WindowGroup<Content: View>: Scene {
    public nonisolated init(@ViewBuilder content: () -> Content) {}
}

@MainActor @preconcurrency
public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}

extension App {
    public static func main() {}
}

@resultBuilder
public enum SceneBuilder {
    public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content }
}

// MARK: - State

@MainActor @preconcurrency @propertyWrapper
public struct State<Value> {
    public nonisolated init(wrappedValue: Value) {}
    public var wrappedValue: Value {
        get { fatalError("a declaration") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { fatalError("a declaration") }
}

extension State where Value: ExpressibleByNilLiteral {
    public nonisolated init() {}
}

@propertyWrapper @dynamicMemberLookup
public struct Binding<Value> {
    public init(projectedValue: Binding<Value>) { self = projectedValue }
    public var wrappedValue: Value {
        get { fatalError("a declaration") }
        nonmutating set {}
    }
    public var projectedValue: Binding<Value> { self }
    public subscript<Subject>(dynamicMember path: WritableKeyPath<Value, Subject>) -> Binding<Subject> {
        fatalError("a declaration")
    }
}

@MainActor @preconcurrency @propertyWrapper
public struct StateObject<Object: ObservableObject> {
    public nonisolated init(wrappedValue: @autoclosure @escaping () -> Object) {}
    public var wrappedValue: Object { fatalError("a declaration") }
}

@MainActor @preconcurrency @propertyWrapper
public struct EnvironmentObject<Object: ObservableObject> {
    @MainActor @preconcurrency @dynamicMemberLookup
    public struct Wrapper {
        public subscript<Subject>(dynamicMember path: ReferenceWritableKeyPath<Object, Subject>) -> Binding<Subject> {
            fatalError("a declaration")
        }
    }

    public nonisolated init() {}
    public var wrappedValue: Object { fatalError("a declaration") }
    public var projectedValue: Wrapper { fatalError("a declaration") }
}

public struct EnvironmentValues {
    public var dismiss: DismissAction { DismissAction() }
}

@MainActor @preconcurrency
public struct DismissAction {
    public nonisolated init() {}
    public func callAsFunction() {}
}

@propertyWrapper
public struct Environment<Value> {
    public init(_ path: KeyPath<EnvironmentValues, Value>) {}
    public var wrappedValue: Value { fatalError("a declaration") }
}

// MARK: - Views

public struct Text: Leaf {
    public nonisolated init(_ text: some StringProtocol) {}
}

public struct Image: Leaf {
    public nonisolated init(systemName: String) {}
    public nonisolated init(uiImage: UIImage) {}
    public nonisolated func resizable() -> Image { self }
}

public struct Label: Leaf {
    public nonisolated init(_ title: some StringProtocol, systemImage: String) {}
}

public struct Spacer: Leaf {
    public nonisolated init() {}
}

public struct ProgressView: Leaf {
    public nonisolated init(_ title: some StringProtocol) {}
}

public struct Button<Label: View>: Leaf {
    public nonisolated init(
        action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> Label
    ) {}
    public nonisolated init(_ title: some StringProtocol, action: @escaping @MainActor () -> Void) where Label == Text {}
}

public struct TextField: Leaf {
    public nonisolated init(_ title: some StringProtocol, text: Binding<String>) {}
}

public struct Toggle: Leaf {
    public nonisolated init(_ title: some StringProtocol, isOn: Binding<Bool>) {}
}

public struct Picker<Selection: Hashable, Content: View>: Leaf {
    public nonisolated init(_ title: some StringProtocol, selection: Binding<Selection>, @ViewBuilder content: () -> Content) {}
}

public enum HorizontalAlignment: Sendable { case leading, center, trailing }
public enum VerticalAlignment: Sendable { case top, center, bottom }
public enum Alignment: Sendable { case center, top, bottom, leading, trailing }

public struct VStack<Content: View>: Leaf {
    public nonisolated init(
        alignment: HorizontalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content
    ) {}
}

public struct HStack<Content: View>: Leaf {
    public nonisolated init(
        alignment: VerticalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> Content
    ) {}
}

public struct ZStack<Content: View>: Leaf {
    public nonisolated init(alignment: Alignment = .center, @ViewBuilder content: () -> Content) {}
}

public struct Group<Content: View>: Leaf {
    public nonisolated init(@ViewBuilder content: () -> Content) {}
}

public struct Form<Content: View>: Leaf {
    public nonisolated init(@ViewBuilder content: () -> Content) {}
}

public struct List<Content: View>: Leaf {
    public nonisolated init(@ViewBuilder content: () -> Content) {}
}

public struct NavigationView<Content: View>: Leaf {
    public nonisolated init(@ViewBuilder content: () -> Content) {}
}

public struct NavigationLink<Label: View, Destination: View>: Leaf {
    public nonisolated init(@ViewBuilder destination: () -> Destination, @ViewBuilder label: () -> Label) {}
}

public struct Section<Content: View>: Leaf {
    public nonisolated init(_ title: some StringProtocol, @ViewBuilder content: () -> Content) {}
    public nonisolated init(@ViewBuilder content: () -> Content, @ViewBuilder footer: () -> some View) {}
    public nonisolated init(
        @ViewBuilder content: () -> Content, @ViewBuilder header: () -> some View, @ViewBuilder footer: () -> some View
    ) {}
}

public struct ForEach<Data: RandomAccessCollection, Content: View>: Leaf {
    public nonisolated init(_ data: Data, @ViewBuilder content: @escaping (Data.Element) -> Content)
    where Data.Element: Identifiable {}
    public nonisolated func onDelete(perform action: ((IndexSet) -> Void)?) -> some View { self }
}

public struct GeometryProxy {
    public var size: CGSize { .zero }
}

public struct GeometryReader<Content: View>: Leaf {
    public nonisolated init(@ViewBuilder content: @escaping (GeometryProxy) -> Content) {}
}

public protocol ToolbarContent {}

public struct ToolbarItemPlacement: Sendable {
    public static let automatic = ToolbarItemPlacement(), cancellationAction = ToolbarItemPlacement()
    public static let confirmationAction = ToolbarItemPlacement()
}

public struct ToolbarItem<Content: View>: ToolbarContent {
    public init(placement: ToolbarItemPlacement = .automatic, @ViewBuilder content: () -> Content) {}
}

public struct ToolbarPack: ToolbarContent {}

@resultBuilder
public enum ToolbarContentBuilder {
    public static func buildBlock<each Content: ToolbarContent>(_ content: repeat each Content) -> ToolbarPack {
        ToolbarPack()
    }
}

// MARK: - UIKit and documents

@MainActor @preconcurrency
public protocol UIViewRepresentable: Leaf {
    associatedtype UIViewType: UIView
    typealias Context = UIViewRepresentableContext
    func makeUIView(context: Context) -> UIViewType
    func updateUIView(_ view: UIViewType, context: Context)
}

public struct UIViewRepresentableContext {}

public final class FileWrapper {
    public init(regularFileWithContents contents: Data) {}
    public var regularFileContents: Data? { nil }
}

public struct FileDocumentReadConfiguration {
    public var file: FileWrapper { FileWrapper(regularFileWithContents: Data()) }
}

public struct FileDocumentWriteConfiguration {}

@preconcurrency
public protocol FileDocument: Sendable {
    typealias ReadConfiguration = FileDocumentReadConfiguration
    typealias WriteConfiguration = FileDocumentWriteConfiguration
    static var readableContentTypes: [UTType] { get }
    init(configuration: ReadConfiguration) throws
    func fileWrapper(configuration: WriteConfiguration) throws -> FileWrapper
}
