import AVFoundation
import FaceAllCore
import ImageIO
import UIKit

/// The front camera. Frames come as the sensor has them, with a word on how they lie.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    typealias Taker = @Sendable (CVPixelBuffer, CGImagePropertyOrientation) -> Void

    let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "faceall.camera")
    private let lock = NSLock()
    private var taker: Taker?
    private var deviceOrientation = UIDeviceOrientation.portrait

    /// Ask for permission, once.
    static func isAllowed() async -> Bool {
        switch AVCaptureDevice.authorizationStatus(for: .video) {
        case .authorized: return true
        case .notDetermined: return await AVCaptureDevice.requestAccess(for: .video)
        default: return false
        }
    }

    /// - Throws: `FaceAllError.badPicture` where there is no camera.
    @MainActor
    func start(_ taker: @escaping Taker) throws {
        lock.withLock { self.taker = taker }
        UIDevice.current.beginGeneratingDeviceOrientationNotifications()
        NotificationCenter.default.addObserver(
            self, selector: #selector(turned), name: UIDevice.orientationDidChangeNotification, object: nil
        )
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        session.sessionPreset = .hd1280x720
        session.automaticallyConfiguresCaptureDeviceForWideColor = false // sRGB; Pictures would turn P3 into it as well
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .front),
              let input = try? AVCaptureDeviceInput(device: device), session.canAddInput(input),
              session.canAddOutput(output)
        else {
            throw FaceAllError.badPicture("this device has no front camera that can be used")
        }
        session.addInput(input)
        session.addOutput(output)
        queue.async { [session] in session.startRunning() }
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
        let (taker, orientation) = lock.withLock { (self.taker, deviceOrientation) }
        taker?(buffer, Self.orientation(of: orientation))
    }

    @MainActor
    @objc private func turned() {
        let now = UIDevice.current.orientation
        if now.isPortrait || now.isLandscape {
            lock.withLock { deviceOrientation = now }
        }
    }

    /// How the front sensor's rows lie, unmirrored: names and galleries are the same with every camera.
    private static func orientation(of device: UIDeviceOrientation) -> CGImagePropertyOrientation {
        switch device {
        case .landscapeLeft: return .down
        case .landscapeRight: return .up
        case .portraitUpsideDown: return .left
        default: return .right
        }
    }
}
