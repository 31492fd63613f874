// swift-tools-version:5.9
import PackageDescription

// The models are resources of FaceAllCoreML: the app contains every file in Models.
let package = Package(
    name: "FaceAll",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "FaceAllCore", targets: ["FaceAllCore"]),
        .library(name: "FaceAllCoreML", targets: ["FaceAllCoreML"]),
        .library(name: "FaceAllVision", targets: ["FaceAllVision"]),
    ],
    targets: [
        .target(name: "FaceAllCore"),
        .target(name: "FaceAllCoreML", dependencies: ["FaceAllCore"], resources: [.copy("Models")]),
        .target(name: "FaceAllVision", dependencies: ["FaceAllCore"]),
        .testTarget(name: "FaceAllCoreTests", dependencies: ["FaceAllCore"], resources: [.copy("Vectors")]),
    ]
)
