import UniformTypeIdentifiers

public struct Color: Leaf, Sendable {
    public static let green = Color(), orange = Color(), yellow = Color(), secondary = Color()
}

public struct Font: Sendable {
    public static let headline = Font(), caption = Font(), title2 = Font()
}

public struct Material: Sendable {}

public struct UITextContentType: Sendable {
    public static let name = UITextContentType()
}

public struct BorderedProminentStyle: Sendable {}
public struct InlineStyle: Sendable {}

public struct MaterialStyle: Sendable {
    public static let thinMaterial = MaterialStyle()
}

public protocol PrimitiveButtonStyle {}
extension BorderedProminentStyle: PrimitiveButtonStyle {}
extension PrimitiveButtonStyle where Self == BorderedProminentStyle {
    public static var borderedProminent: BorderedProminentStyle { BorderedProminentStyle() }
}

public protocol PickerStyle {}
extension InlineStyle: PickerStyle {}
extension PickerStyle where Self == InlineStyle {
    public static var inline: InlineStyle { InlineStyle() }
}

public struct AccessibilityChildBehavior: Sendable {
    public static let combine = AccessibilityChildBehavior()
}

extension View {
    public nonisolated func padding() -> some View { self }
    public nonisolated func ignoresSafeArea() -> some View { self }
    public nonisolated func background(_ style: MaterialStyle) -> some View { self }
    public nonisolated func cornerRadius(_ radius: CGFloat) -> some View { self }
    public nonisolated func font(_ font: Font?) -> some View { self }
    public nonisolated func foregroundColor(_ color: Color?) -> some View { self }
    public nonisolated func border(_ color: Color, width: CGFloat = 1) -> some View { self }
    public nonisolated func position(x: CGFloat = 0, y: CGFloat = 0) -> some View { self }
    public nonisolated func scaledToFit() -> some View { self }
    public nonisolated func frame(width: CGFloat? = nil, height: CGFloat? = nil, alignment: Alignment = .center) -> some View {
        self
    }
    public nonisolated func frame(maxWidth: CGFloat? = nil, maxHeight: CGFloat? = nil) -> some View { self }

    public nonisolated func disabled(_ disabled: Bool) -> some View { self }
    public nonisolated func buttonStyle(_ style: some PrimitiveButtonStyle) -> some View { self }
    public nonisolated func pickerStyle(_ style: some PickerStyle) -> some View { self }
    public nonisolated func tag(_ tag: some Hashable) -> some View { self }
    public nonisolated func textContentType(_ type: UITextContentType?) -> some View { self }
    public nonisolated func navigationTitle(_ title: some StringProtocol) -> some View { self }
    public nonisolated func toolbar(@ToolbarContentBuilder content: () -> some ToolbarContent) -> some View { self }
    public nonisolated func environmentObject(_ object: some ObservableObject) -> some View { self }

    public nonisolated func accessibilityLabel(_ label: some StringProtocol) -> some View { self }
    public nonisolated func accessibilityHint(_ hint: some StringProtocol) -> some View { self }
    public nonisolated func accessibilityHidden(_ hidden: Bool) -> some View { self }
    public nonisolated func accessibilityElement(children: AccessibilityChildBehavior) -> some View { self }

    public nonisolated func onTapGesture(perform action: @escaping () -> Void) -> some View { self }
    public nonisolated func onAppear(perform action: (() -> Void)? = nil) -> some View { self }
    public nonisolated func onSubmit(_ action: @escaping () -> Void) -> some View { self }
    public nonisolated func contextMenu(@ViewBuilder menuItems: () -> some View) -> some View { self }
    public nonisolated func task(
        @_inheritActorContext _ action: @escaping @Sendable () async -> Void
    ) -> some View { self }
    public nonisolated func task(
        id: some Equatable, @_inheritActorContext _ action: @escaping @Sendable () async -> Void
    ) -> some View { self }
    public nonisolated func sheet<Item: Identifiable>(
        item: Binding<Item?>, @ViewBuilder content: @escaping (Item) -> some View
    ) -> some View { self }
    public nonisolated func fileImporter(
        isPresented: Binding<Bool>, allowedContentTypes: [UTType],
        onCompletion: @escaping (Result<URL, any Error>) -> Void
    ) -> some View { self }
    public nonisolated func fileExporter(
        isPresented: Binding<Bool>, document: (some FileDocument)?, contentType: UTType, defaultFilename: String? = nil,
        onCompletion: @escaping (Result<URL, any Error>) -> Void
    ) -> some View { self }
}
