#if canImport(CoreVideo)
import CoreVideo
import FaceAllCore
import Foundation

/// Pixel buffers as Core ML takes them.
enum PixelBuffers {
    /// A buffer of 32 bits per pixel with the same colours: Core ML knows the order of BGRA and gives the model RGB.
    static func make(_ picture: Pixels) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary] as CFDictionary
        let status = CVPixelBufferCreate(
            kCFAllocatorDefault, picture.width, picture.height, kCVPixelFormatType_32BGRA, attributes, &made
        )
        guard status == kCVReturnSuccess, let buffer = made else {
            throw FaceAllError.badPicture("no memory for \(picture.width) x \(picture.height) pixels (\(status))")
        }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let start = CVPixelBufferGetBaseAddress(buffer) else {
            throw FaceAllError.badPicture("a pixel buffer without memory")
        }
        let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
        for row in 0..<picture.height {
            let target = start.advanced(by: row * rowBytes).assumingMemoryBound(to: UInt8.self)
            for column in 0..<picture.width {
                let from = (row * picture.width + column) * 3, to = column * 4
                target[to] = picture.values[from + 2]
                target[to + 1] = picture.values[from + 1]
                target[to + 2] = picture.values[from]
                target[to + 3] = 255
            }
        }
        return buffer
    }
}
#endif
