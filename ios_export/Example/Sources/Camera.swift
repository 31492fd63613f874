import AVFoundation
import FaceAllCore
import ImageIO
import UIKit

/// The front camera. It delivers frames in the orientation of the sensor, together with that orientation.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    /// A frame, which only its receiver uses.
    struct Frame: @unchecked Sendable {
        let buffer: CVPixelBuffer
        let orientation: CGImagePropertyOrientation
    }

    typealias FrameHandler = @Sendable (Frame) -> Void

    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "faceall.camera")
    private let lock = NSLock()
    private var handler: FrameHandler?
    private var deviceOrientation = UIDeviceOrientation.portrait

    /// Returns whether the app may use the camera; asks for permission the first time.
    static func isAllowed() async -> Bool {
        switch AVCaptureDevice.authorizationStatus(for: .video) {
        case .authorized: return true
        case .notDetermined: return await AVCaptureDevice.requestAccess(for: .video)
        default: return false
        }
    }

    /// Starts the camera.
    ///
    /// - Throws: `FaceAllError.badImage` if there is no camera.
    @MainActor
    func start(_ handler: @escaping FrameHandler) throws {
        lock.withLock { self.handler = handler }
        UIDevice.current.beginGeneratingDeviceOrientationNotifications()
        _ = NotificationCenter.default.addObserver(
            forName: UIDevice.orientationDidChangeNotification, object: nil, queue: .main
        ) { [weak self] _ in
            MainActor.assumeIsolated { self?.turned() }
        }
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        session.sessionPreset = .hd1280x720
        session.automaticallyConfiguresCaptureDeviceForWideColor = false // sRGB; ImageConverter also converts P3
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .front),
              let input = try? AVCaptureDeviceInput(device: device), session.canAddInput(input),
              session.canAddOutput(output)
        else {
            throw FaceAllError.badImage("this device has no usable front camera")
        }
        session.addInput(input)
        session.addOutput(output)
        queue.async { self.session.startRunning() }
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
        let (handler, orientation) = lock.withLock { (self.handler, deviceOrientation) }
        handler?(Frame(buffer: buffer, orientation: Self.orientation(of: orientation)))
    }

    @MainActor
    private func turned() {
        let now = UIDevice.current.orientation
        if now.isPortrait || now.isLandscape {
            lock.withLock { deviceOrientation = now }
        }
    }

    /// Returns the orientation of the front sensor's frames, not mirrored, as with other cameras.
    private static func orientation(of device: UIDeviceOrientation) -> CGImagePropertyOrientation {
        switch device {
        case .landscapeLeft: return .down
        case .landscapeRight: return .up
        case .portraitUpsideDown: return .left
        default: return .right
        }
    }
}
