#if canImport(CoreImage) && canImport(ImageIO)
import CoreImage
import CoreVideo
import FaceAllCore
import Foundation
import ImageIO

/// Pictures of cameras and files as `Pixels`: upright, and in sRGB whatever they were in (Display P3, YUV, gray).
public struct Pictures: @unchecked Sendable { // a CIContext may be used from several threads
    private let context: CIContext
    private let space: CGColorSpace

    public init() throws {
        guard let space = CGColorSpace(name: CGColorSpace.sRGB) else {
            throw FaceAllError.badPicture("this system knows no sRGB")
        }
        self.space = space
        context = CIContext(options: [.cacheIntermediates: false])
    }

    /// A camera's frame.
    ///
    /// - Parameter orientation: how the frame lies; .right for the back camera of a phone held upright
    public func pixels(of buffer: CVPixelBuffer, orientation: CGImagePropertyOrientation) throws -> Pixels {
        try pixels(of: CIImage(cvPixelBuffer: buffer).oriented(orientation))
    }

    /// A file of any kind that the system reads, turned as its EXIF says.
    public func pixels(ofFile data: Data) throws -> Pixels {
        guard let image = CIImage(data: data, options: [.applyOrientationProperty: true]) else {
            throw FaceAllError.badPicture("\(data.count) bytes that are no picture")
        }
        return try pixels(of: image)
    }

    private func pixels(of image: CIImage) throws -> Pixels {
        guard let drawn = context.createCGImage(image, from: image.extent, format: .RGBA8, colorSpace: space),
              let data = drawn.dataProvider?.data as Data?
        else {
            throw FaceAllError.badPicture("the picture cannot be drawn in sRGB")
        }
        return try data.withUnsafeBytes { bytes in
            try Pixels(
                fourBytes: bytes, width: drawn.width, height: drawn.height, rowBytes: drawn.bytesPerRow,
                order: [0, 1, 2]
            )
        }
    }

    /// A picture for Vision or the screen.
    public func image(of picture: Pixels) throws -> CGImage {
        var values = [UInt8](repeating: 255, count: picture.width * picture.height * 4)
        for pixel in 0..<(picture.width * picture.height) {
            for colour in 0..<3 {
                values[pixel * 4 + colour] = picture.values[pixel * 3 + colour]
            }
        }
        let layout = CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue)
        guard let provider = CGDataProvider(data: Data(values) as CFData),
              let image = CGImage(
                  width: picture.width, height: picture.height, bitsPerComponent: 8, bitsPerPixel: 32,
                  bytesPerRow: picture.width * 4, space: space, bitmapInfo: layout, provider: provider,
                  decode: nil, shouldInterpolate: false, intent: .defaultIntent
              )
        else {
            throw FaceAllError.badPicture("no picture can be made of \(picture.width) x \(picture.height) pixels")
        }
        return image
    }

    /// A JPEG, for thumbnails.
    public func jpeg(_ picture: Pixels, quality: Double = 0.85) throws -> Data {
        let data = NSMutableData()
        guard let target = CGImageDestinationCreateWithData(data, "public.jpeg" as CFString, 1, nil) else {
            throw FaceAllError.badPicture("this system writes no JPEG")
        }
        let options = [kCGImageDestinationLossyCompressionQuality: quality] as CFDictionary
        CGImageDestinationAddImage(target, try image(of: picture), options)
        guard CGImageDestinationFinalize(target) else { throw FaceAllError.badPicture("the JPEG cannot be written") }
        return data as Data
    }
}
#endif
