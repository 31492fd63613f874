@_exported import CoreVideo
@_exported import Dispatch
@_exported import UIKit

// Nothing here is Sendable, the strictest assumption; in Apple's SDK some of it may be.
public class AVCaptureInput {}
public class AVCaptureConnection {}
public class CMSampleBuffer {}

public func CMSampleBufferGetImageBuffer(_ buffer: CMSampleBuffer) -> CVPixelBuffer? { nil }

public let kCVPixelBufferPixelFormatTypeKey: CFString = "PixelFormatType"

public struct AVMediaType: Sendable {
    public static let video = AVMediaType()
}

public enum AVAuthorizationStatus: Int, Sendable { case notDetermined, restricted, denied, authorized }

public class AVCaptureDevice {
    public struct DeviceType: Sendable {
        public static let builtInWideAngleCamera = DeviceType()
    }

    public enum Position: Int, Sendable { case unspecified, back, front }

    public class func authorizationStatus(for mediaType: AVMediaType) -> AVAuthorizationStatus { .denied }
    public class func requestAccess(for mediaType: AVMediaType) async -> Bool { false }
    public class func `default`(
        _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
    ) -> AVCaptureDevice? { nil }
}

public class AVCaptureDeviceInput: AVCaptureInput {
    public init(device: AVCaptureDevice) throws {}
}

public class AVCaptureOutput {}

public protocol AVCaptureVideoDataOutputSampleBufferDelegate: AnyObject {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    )
}

public class AVCaptureVideoDataOutput: AVCaptureOutput {
    public override init() {}
    public var videoSettings: [String: Any]! = [:]
    public var alwaysDiscardsLateVideoFrames = true
    public func setSampleBufferDelegate(
        _ delegate: AVCaptureVideoDataOutputSampleBufferDelegate?, queue: DispatchQueue?
    ) {}
}

public class AVCaptureSession {
    public struct Preset: Sendable {
        public static let hd1280x720 = Preset()
    }

    public init() {}
    public var sessionPreset = Preset.hd1280x720
    public var automaticallyConfiguresCaptureDeviceForWideColor = true
    public func beginConfiguration() {}
    public func commitConfiguration() {}
    public func canAddInput(_ input: AVCaptureInput) -> Bool { false }
    public func canAddOutput(_ output: AVCaptureOutput) -> Bool { false }
    public func addInput(_ input: AVCaptureInput) {}
    public func addOutput(_ output: AVCaptureOutput) {}
    public func startRunning() {}
}

public struct AVLayerVideoGravity: Sendable {
    public static let resizeAspect = AVLayerVideoGravity()
}

public class AVCaptureVideoPreviewLayer: CALayer {
    public var session: AVCaptureSession?
    public var videoGravity = AVLayerVideoGravity.resizeAspect
}
