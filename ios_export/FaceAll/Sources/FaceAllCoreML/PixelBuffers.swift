#if canImport(CoreVideo)
import CoreVideo
import FaceAllCore
import Foundation

/// Makes pixel buffers for Core ML.
enum PixelBuffers {
    /// Returns a buffer of 32 bits per pixel; Core ML converts the BGRA order to RGB for the model.
    static func make(_ image: Pixels) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        let attributes = [kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary] as CFDictionary
        let status = CVPixelBufferCreate(
            kCFAllocatorDefault, image.width, image.height, kCVPixelFormatType_32BGRA, attributes, &made
        )
        guard status == kCVReturnSuccess, let buffer = made else {
            throw FaceAllError.badImage(
                "no pixel buffer of \(image.width) x \(image.height) pixels can be created (\(status))"
            )
        }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let start = CVPixelBufferGetBaseAddress(buffer) else {
            throw FaceAllError.badImage("the pixel buffer has no memory")
        }
        let rowBytes = CVPixelBufferGetBytesPerRow(buffer)
        for row in 0..<image.height {
            let target = start.advanced(by: row * rowBytes).assumingMemoryBound(to: UInt8.self)
            for column in 0..<image.width {
                let from = (row * image.width + column) * 3, to = column * 4
                target[to] = image.values[from + 2]
                target[to + 1] = image.values[from + 1]
                target[to + 2] = image.values[from]
                target[to + 3] = 255
            }
        }
        return buffer
    }
}
#endif
