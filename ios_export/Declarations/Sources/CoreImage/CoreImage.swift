@_exported import CoreGraphics
import CoreVideo
import ImageIO

public struct CIImageOption: Hashable, Sendable {
    public static let applyOrientationProperty = CIImageOption()
}

public struct CIContextOption: Hashable, Sendable {
    public static let cacheIntermediates = CIContextOption()
}

public struct CIFormat: Sendable {
    public static let RGBA8 = CIFormat()
}

public class CIImage {
    public init(cvPixelBuffer: CVPixelBuffer) {}
    public init?(data: Data, options: [CIImageOption: Any]? = nil) {}
    public func oriented(_ orientation: CGImagePropertyOrientation) -> CIImage { self }
    public var extent: CGRect { .zero }
}

public class CIContext {
    public init(options: [CIContextOption: Any]? = nil) {}
    public func createCGImage(
        _ image: CIImage, from: CGRect, format: CIFormat, colorSpace: CGColorSpace?
    ) -> CGImage? { nil }
}
