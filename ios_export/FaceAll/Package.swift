// swift-tools-version:6.0
import PackageDescription

// The models are resources of FaceAllCoreML: the app contains every file in Models.
let package = Package(
    name: "FaceAll",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "FaceAllCore", targets: ["FaceAllCore"]),
        .library(name: "FaceAllTracking", targets: ["FaceAllTracking"]),
        .library(name: "FaceAllStorage", targets: ["FaceAllStorage"]),
        .library(name: "FaceAllCoreML", targets: ["FaceAllCoreML"]),
        .library(name: "FaceAllCoreAI", targets: ["FaceAllCoreAI"]),
        .library(name: "FaceAllVision", targets: ["FaceAllVision"]),
    ],
    targets: [
        .target(name: "FaceAllCore"),
        .target(name: "FaceAllTracking", dependencies: ["FaceAllCore"]),
        .target(name: "FaceAllStorage", dependencies: ["FaceAllCore"]),
        .target(name: "FaceAllCoreML", dependencies: ["FaceAllCore"], resources: [.copy("Models")]),
        .target(name: "FaceAllCoreAI", dependencies: ["FaceAllCore", "FaceAllCoreML"]),
        .target(name: "FaceAllVision", dependencies: ["FaceAllCore"]),
        .testTarget(name: "FaceAllCoreTests", dependencies: ["FaceAllCore"], resources: [.copy("Vectors")]),
        .testTarget(
            name: "FaceAllTrackingTests", dependencies: ["FaceAllTracking"], resources: [.copy("Frames")]
        ),
        .testTarget(name: "FaceAllStorageTests", dependencies: ["FaceAllStorage"]),
    ],
    swiftLanguageModes: [.v6]
)

#if os(Linux)
// A process that saves a gallery over and over, which the tests of FaceAllStorage kill.
package.targets.append(
    .executableTarget(name: "SaveLoop", dependencies: ["FaceAllCore", "FaceAllStorage"], path: "Tests/SaveLoop")
)
for target in package.targets where target.name == "FaceAllStorageTests" {
    target.dependencies.append("SaveLoop")
}
// CryptoKit's interface on Linux: a folder named swift-crypto, such as the one in Debian's source package of Swift.
if let folder = Context.environment["FACEALL_SWIFT_CRYPTO"] {
    package.dependencies.append(.package(path: folder))
    for target in package.targets where ["FaceAllStorage", "FaceAllStorageTests", "SaveLoop"].contains(target.name) {
        target.dependencies.append(.product(name: "Crypto", package: "swift-crypto"))
    }
}
#endif
