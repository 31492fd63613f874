@_exported import CoreGraphics

// Parts of Foundation that only Apple's systems have.
extension URL {
    public func startAccessingSecurityScopedResource() -> Bool { false }
    public func stopAccessingSecurityScopedResource() {}
}

@MainActor
open class CALayer {
    public init() {}
}

@MainActor
open class UIView: NSObject {
    open class var layerClass: AnyClass { CALayer.self }
    public var layer: CALayer { CALayer() }
}

public final class UIImage: @unchecked Sendable {
    public init?(data: Data) {}
}

public enum UIDeviceOrientation: Int, Sendable {
    case unknown, portrait, portraitUpsideDown, landscapeLeft, landscapeRight, faceUp, faceDown

    public var isPortrait: Bool { false }
    public var isLandscape: Bool { false }
}

@MainActor
public final class UIDevice: NSObject {
    public static let current = UIDevice()
    public nonisolated static let orientationDidChangeNotification = NSNotification.Name("orientation")
    public var orientation: UIDeviceOrientation { .unknown }
    public func beginGeneratingDeviceOrientationNotifications() {}
}
