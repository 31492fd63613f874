import FaceAllCore
import Foundation
import XCTest
#if canImport(CryptoKit)
import CryptoKit
import FaceAllStorage
#elseif canImport(Crypto)
import Crypto
import FaceAllStorage
#endif

final class StorageTests: XCTestCase {
    private func place() -> URL {
        FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).faceall")
    }

    private func gallery() throws -> Gallery {
        let model = GalleryModel(name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .null)
        var gallery = try Gallery(model: model, size: 4, threshold: 1)
        let face = Face(
            box: Box(x0: 1, y0: 2, x1: 30, y1: 40), score: 0.9, landmarks: (0..<5).map { Point(x: Float($0), y: 3) }
        )
        let photo = Photo(name: "a.jpg", sha256: sha256(Data("a".utf8)), width: 10, height: 10)
        try gallery.enrol(
            face, vector: [1, 0, 0, 0], name: "Ann", photo: photo, thumbnail: Data([0xff, 0xd8, 0xff, 1]),
            now: Date(timeIntervalSince1970: 1_800_000_000)
        )
        return gallery
    }

    private func seal(_ byte: UInt8) throws -> any GallerySealing {
        let key = Data(repeating: byte, count: 32)
        #if canImport(CryptoKit) || canImport(Crypto)
        return AESGallerySealing(key: SymmetricKey(data: key))
        #else
        return try OpenSSLSealing(key: key)
        #endif
    }

    func testAnEncryptedGalleryIsReadWithItsKeyAlone() throws {
        let url = place(), gallery = try gallery(), file = GalleryFile(url, sealing: try seal(1))
        defer { try? FileManager.default.removeItem(at: url) }
        try file.save(gallery)
        XCTAssertEqual(try file.load(), gallery)
        let bytes = try Data(contentsOf: url)
        XCTAssertNil(bytes.range(of: Data("Ann".utf8)), "names are not readable")
        for other in [GalleryFile(url, sealing: try seal(2)), GalleryFile(url)] {
            XCTAssertThrowsError(try other.load()) { error in
                guard case FaceAllError.wrongKey = error else { return XCTFail("\(error)") }
            }
        }
    }

    func testEverySaveOfAnEncryptedGalleryHasOtherBytes() throws {
        let url = place(), gallery = try gallery(), file = GalleryFile(url, sealing: try seal(1))
        defer { try? FileManager.default.removeItem(at: url) }
        try file.save(gallery)
        let first = try Data(contentsOf: url)
        try file.save(gallery)
        XCTAssertNotEqual(try Data(contentsOf: url), first, "a nonce is used once")
    }

    func testAnyChangedByteOfAnEncryptedGalleryIsDetected() throws {
        let url = place(), file = GalleryFile(url, sealing: try seal(1))
        defer { try? FileManager.default.removeItem(at: url) }
        try file.save(try gallery())
        let bytes = try Data(contentsOf: url)
        for number in stride(from: 0, to: bytes.count, by: max(bytes.count / 60, 1)) {
            var damaged = bytes
            damaged[number] ^= 1
            try damaged.write(to: url)
            XCTAssertThrowsError(try file.load(), "byte \(number)") { XCTAssertTrue($0 is FaceAllError, "\($0)") }
        }
        try bytes.dropLast().write(to: url)
        XCTAssertThrowsError(try file.load())
    }

    func testAPlainFileIsReadWithAKeyAndEncryptedByTheNextSave() throws {
        let url = place(), gallery = try gallery(), file = GalleryFile(url, sealing: try seal(1))
        defer { try? FileManager.default.removeItem(at: url) }
        try GalleryFile(url).save(gallery)
        XCTAssertEqual(try file.load(), gallery)
        try file.save(gallery)
        XCTAssertThrowsError(try GalleryFile(url).load())
        XCTAssertEqual(try file.load(), gallery)
    }

    func testAFolderThatCannotBeWrittenIsAnErrorAndLeavesNothing() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        let file = GalleryFile(folder.appendingPathComponent("absent/people.faceall"))
        XCTAssertThrowsError(try file.save(try gallery())) { error in
            guard case FaceAllError.badGallery = error else { return XCTFail("\(error)") }
        }
        XCTAssertFalse(FileManager.default.fileExists(atPath: folder.path))
    }

    #if os(Linux)
    /// The program SaveLoop, which is built beside the tests.
    private func saveLoop() throws -> URL {
        let main = Bundle.main.bundleURL, started = URL(fileURLWithPath: CommandLine.arguments[0])
        let folders = [started.deletingLastPathComponent(), main, main.deletingLastPathComponent()]
        let found = folders.map { $0.appendingPathComponent("SaveLoop") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
        return try XCTUnwrap(found, "SaveLoop is in none of \(folders.map(\.path))")
    }

    func testKillingAProcessThatSavesLosesNothing() throws {
        for delay in [0.05, 0.2, 0.4, 0.9] {
            try killWhileSaving(after: delay, sealing: nil, arguments: [])
        }
    }

    #if canImport(Crypto)
    func testKillingAProcessThatSavesAnEncryptedGalleryLosesNothing() throws {
        for delay in [0.05, 0.2, 0.4, 0.9] {
            try killWhileSaving(after: delay, sealing: try seal(7), arguments: ["7"])
        }
    }
    #endif

    /// Kills a process that saves, and compares what it had saved with what is in the file.
    private func killWhileSaving(after delay: Double, sealing: (any GallerySealing)?, arguments: [String]) throws {
        let url = place(), process = Process(), output = Pipe()
        defer { try? FileManager.default.removeItem(at: url) }
        process.executableURL = try saveLoop()
        process.arguments = [url.path] + arguments
        process.standardOutput = output
        try process.run()
        let handle = output.fileHandleForReading
        var said = handle.availableData // waits for the first save
        Thread.sleep(forTimeInterval: delay)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        said += handle.readDataToEndOfFile()
        let saved = String(decoding: said, as: UTF8.self).split(separator: "\n").compactMap { Int($0) }.last ?? 0
        XCTAssertGreaterThan(saved, 0)
        if sealing != nil {
            XCTAssertThrowsError(try GalleryFile(url).load(), "the file is encrypted")
        }
        let found = try GalleryFile(url, sealing: sealing).load().people.count
        XCTAssertTrue((saved...(saved + 1)).contains(found), "\(found) people, \(saved) were saved")
    }

    #if canImport(Crypto)
    func testTheSealingOfTheAppAndOpenSSLReadEachOther() throws {
        let key = Data((0..<32).map { UInt8($0) }), header = Data("header".utf8), text = Data("people".utf8)
        let app = AESGallerySealing(key: SymmetricKey(data: key)), other = try OpenSSLSealing(key: key)
        XCTAssertEqual(try app.open(try other.seal(text, header: header), header: header), text)
        XCTAssertEqual(try other.open(try app.seal(text, header: header), header: header), text)
        XCTAssertEqual(try app.seal(text, header: header).count, 12 + text.count + 16)
        XCTAssertThrowsError(try app.open(try other.seal(text, header: header), header: Data("other".utf8)))
        XCTAssertThrowsError(try app.open(Data(count: 5), header: header))
    }
    #endif

    func testTheCipherOfTheTestsGivesPublishedValues() throws {
        // test case 14 of the GCM specification: a zero key of 256 bits, a zero nonce, a zero block
        let cipher = try OpenSSLSealing(key: Data(repeating: 0, count: 32))
        let sealed = try cipher.seal(Data(repeating: 0, count: 16), header: Data(), nonce: Data(repeating: 0, count: 12))
        let hex = sealed.dropFirst(12).map { String(format: "%02x", $0) }.joined()
        XCTAssertEqual(hex, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    }
    #endif
}
