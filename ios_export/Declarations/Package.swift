// swift-tools-version:5.9
import PackageDescription

// Hand-written declarations of the parts of Apple's frameworks that FaceAll uses, to type-check it on other systems.
// scripts/check-swift copies the sources of FaceAll into this package; no app contains these declarations.
let strict: [SwiftSetting] = [.enableExperimentalFeature("StrictConcurrency")]
let package = Package(
    name: "Declarations",
    targets: [
        .target(name: "CoreGraphics"),
        .target(name: "CoreVideo", dependencies: ["CoreGraphics"]),
        .target(name: "ImageIO", dependencies: ["CoreGraphics"]),
        .target(name: "CoreImage", dependencies: ["CoreGraphics", "CoreVideo", "ImageIO"]),
        .target(name: "CoreML", dependencies: ["CoreVideo"]),
        .target(name: "Vision", dependencies: ["CoreGraphics", "ImageIO"]),
        .target(name: "FaceAllCore", swiftSettings: strict),
        .target(
            name: "FaceAllCoreML",
            dependencies: ["FaceAllCore", "CoreML", "CoreVideo", "CoreImage", "ImageIO", "CoreGraphics"],
            resources: [.copy("Models")], swiftSettings: strict
        ),
        .target(name: "FaceAllVision", dependencies: ["FaceAllCore", "Vision", "CoreGraphics"], swiftSettings: strict),
    ]
)
