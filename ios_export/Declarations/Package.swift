// swift-tools-version:5.9
import PackageDescription

// What FaceAll uses of Apple's frameworks, declared by hand: enough to type-check it where these are absent.
// scripts/check-swift copies FaceAll's sources beside these; nothing of this is part of an app.
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
