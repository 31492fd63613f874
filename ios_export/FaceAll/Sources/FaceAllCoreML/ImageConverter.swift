#if canImport(CoreImage) && canImport(ImageIO)
import CoreImage
import CoreVideo
import FaceAllCore
import Foundation
import ImageIO

/// Converts camera frames and image files to `Pixels`, and `Pixels` to `CGImage` and JPEG.
///
/// `Pixels` are upright and in sRGB; other colour spaces (Display P3, YUV, gray) are converted.
public struct ImageConverter: @unchecked Sendable { // a CIContext may be used from several threads
    private let context: CIContext
    private let space: CGColorSpace

    /// Creates a converter.
    ///
    /// - Throws: `FaceAllError.badImage` if the system has no sRGB colour space.
    public init() throws {
        guard let space = CGColorSpace(name: CGColorSpace.sRGB) else {
            throw FaceAllError.badImage("this system has no sRGB colour space")
        }
        self.space = space
        context = CIContext(options: [.cacheIntermediates: false])
    }

    /// Returns the upright image of a camera frame.
    ///
    /// - Parameters:
    ///   - buffer: The frame.
    ///   - orientation: The orientation of the frame: `.right` for the back camera of a phone in portrait orientation.
    public func pixels(of buffer: CVPixelBuffer, orientation: CGImagePropertyOrientation) throws -> Pixels {
        try pixels(of: CIImage(cvPixelBuffer: buffer).oriented(orientation))
    }

    /// Returns the upright image of a file in any format that the system reads; the EXIF orientation is applied.
    ///
    /// - Throws: `FaceAllError.badImage` if the file cannot be read as an image.
    public func pixels(ofFile data: Data) throws -> Pixels {
        guard let image = CIImage(data: data, options: [.applyOrientationProperty: true]) else {
            throw FaceAllError.badImage("the file of \(data.count) bytes cannot be read as an image")
        }
        return try pixels(of: image)
    }

    private func pixels(of image: CIImage) throws -> Pixels {
        guard let drawn = context.createCGImage(image, from: image.extent, format: .RGBA8, colorSpace: space),
              let data = drawn.dataProvider?.data as Data?
        else {
            throw FaceAllError.badImage("the image cannot be converted to sRGB")
        }
        return try data.withUnsafeBytes { bytes in
            try Pixels(
                fourBytes: bytes, width: drawn.width, height: drawn.height, rowBytes: drawn.bytesPerRow,
                order: [0, 1, 2]
            )
        }
    }

    /// Returns the image as a `CGImage`, for Vision or the screen.
    public func cgImage(of image: Pixels) throws -> CGImage {
        var values = [UInt8](repeating: 255, count: image.width * image.height * 4)
        for pixel in 0..<(image.width * image.height) {
            for colour in 0..<3 {
                values[pixel * 4 + colour] = image.values[pixel * 3 + colour]
            }
        }
        let layout = CGBitmapInfo(rawValue: CGImageAlphaInfo.noneSkipLast.rawValue)
        guard let provider = CGDataProvider(data: Data(values) as CFData),
              let made = CGImage(
                  width: image.width, height: image.height, bitsPerComponent: 8, bitsPerPixel: 32,
                  bytesPerRow: image.width * 4, space: space, bitmapInfo: layout, provider: provider,
                  decode: nil, shouldInterpolate: false, intent: .defaultIntent
              )
        else {
            throw FaceAllError.badImage("no CGImage can be made of \(image.width) x \(image.height) pixels")
        }
        return made
    }

    /// Returns the image as a JPEG, for thumbnails.
    ///
    /// - Parameters:
    ///   - image: The image.
    ///   - quality: The compression quality, 0 to 1.
    public func jpeg(_ image: Pixels, quality: Double = 0.85) throws -> Data {
        let data = NSMutableData()
        guard let target = CGImageDestinationCreateWithData(data, "public.jpeg" as CFString, 1, nil) else {
            throw FaceAllError.badImage("this system cannot write JPEG")
        }
        let options = [kCGImageDestinationLossyCompressionQuality: quality] as CFDictionary
        CGImageDestinationAddImage(target, try cgImage(of: image), options)
        guard CGImageDestinationFinalize(target) else { throw FaceAllError.badImage("the JPEG cannot be written") }
        return data as Data
    }
}
#endif
