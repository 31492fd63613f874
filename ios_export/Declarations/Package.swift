// swift-tools-version:6.0
import PackageDescription

// Hand-written declarations of the parts of Apple's frameworks that FaceAll uses, to type-check it on other systems.
// scripts/check-swift copies the sources of FaceAll into this package; no app contains these declarations.
let plain: [SwiftSetting] = [.swiftLanguageMode(.v5)] // the declarations themselves; FaceAll is checked as Swift 6
let package = Package(
    name: "Declarations",
    targets: [
        .target(name: "CoreGraphics", swiftSettings: plain),
        .target(name: "CoreVideo", dependencies: ["CoreGraphics"], swiftSettings: plain),
        .target(name: "ImageIO", dependencies: ["CoreGraphics"], swiftSettings: plain),
        .target(name: "CoreImage", dependencies: ["CoreGraphics", "CoreVideo", "ImageIO"], swiftSettings: plain),
        .target(name: "CoreML", dependencies: ["CoreVideo"], swiftSettings: plain),
        .target(name: "CoreAI", swiftSettings: plain),
        .target(name: "Vision", dependencies: ["CoreGraphics", "ImageIO"], swiftSettings: plain),
        .target(name: "CryptoKit", swiftSettings: plain),
        .target(name: "Security", swiftSettings: plain),
        .target(name: "FaceAllCore"),
        .target(name: "FaceAllTracking", dependencies: ["FaceAllCore"]),
        .target(name: "FaceAllStorage", dependencies: ["FaceAllCore", "CryptoKit", "Security"]),
        .target(
            name: "FaceAllCoreML",
            dependencies: ["FaceAllCore", "CoreML", "CoreVideo", "CoreImage", "ImageIO", "CoreGraphics"],
            resources: [.copy("Models")]
        ),
        .target(name: "FaceAllCoreAI", dependencies: ["FaceAllCore", "FaceAllCoreML", "CoreML", "CoreAI"]),
        .target(name: "Combine", swiftSettings: plain),
        .target(name: "UniformTypeIdentifiers", swiftSettings: plain),
        .target(name: "UIKit", dependencies: ["CoreGraphics"], swiftSettings: plain),
        .target(name: "AVFoundation", dependencies: ["CoreVideo", "UIKit"], swiftSettings: plain),
        .target(name: "SwiftUI", dependencies: ["Combine", "UIKit", "UniformTypeIdentifiers"], swiftSettings: plain),
        .target(name: "FaceAllVision", dependencies: ["FaceAllCore", "Vision", "CoreGraphics"]),
        .target(
            name: "FaceAllExample",
            dependencies: [
                "FaceAllCore", "FaceAllTracking", "FaceAllStorage", "FaceAllCoreML", "FaceAllCoreAI", "FaceAllVision",
                "SwiftUI", "AVFoundation", "UniformTypeIdentifiers", "ImageIO",
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)
