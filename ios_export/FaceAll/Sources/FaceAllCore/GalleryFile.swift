import Foundation
#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#endif

/// Encrypts and decrypts the bytes of a gallery file, with authentication.
public protocol GallerySealing: Sendable {
    /// Returns the encrypted bytes.
    ///
    /// - Parameters:
    ///   - data: The bytes to encrypt.
    ///   - header: Bytes that are authenticated but not encrypted.
    func seal(_ data: Data, header: Data) throws -> Data

    /// Returns the decrypted bytes.
    ///
    /// - Throws: Any error if the key is not the one of the file, or if the bytes were changed.
    func open(_ sealed: Data, header: Data) throws -> Data
}

/// A gallery on disk: written durably and atomically, protected while the phone is locked, and optionally encrypted.
public struct GalleryFile: Sendable {
    /// The first bytes of an encrypted file: a name and the version of the form.
    static let mark = Data("FaceAllSealed\u{1}".utf8)

    /// The location of the file.
    public let url: URL
    private let sealing: (any GallerySealing)?

    /// Creates a description of a file; nothing is read or written.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - sealing: Encrypts the file, or `nil` to rely on the file protection of the system alone.
    public init(_ url: URL, sealing: (any GallerySealing)? = nil) {
        self.url = url
        self.sealing = sealing
    }

    /// Whether the file exists.
    public var exists: Bool { FileManager.default.fileExists(atPath: url.path) }

    /// Reads the gallery. A file without encryption is read even with a key; the next save encrypts it.
    ///
    /// - Throws: `FaceAllError.wrongKey` if the file is encrypted with another key, `badGallery` if it is damaged,
    ///   `newerFile` if a newer version wrote it.
    public func load() throws -> Gallery {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw FaceAllError.badGallery(
                "\(url.lastPathComponent) cannot be read (is the phone locked?): \(error.localizedDescription)"
            )
        }
        return try Gallery(bundle: try opened(data))
    }

    /// Writes the gallery: to a file beside it, which replaces the previous one when its bytes are on the disk.
    ///
    /// After a crash, or a loss of power, the file has either the previous or the new gallery.
    ///
    /// - Throws: `FaceAllError.badGallery` if the file cannot be written.
    public func save(_ gallery: Gallery) throws {
        var data = try gallery.savedData()
        if let sealing {
            data = GalleryFile.mark + (try sealing.seal(data, header: GalleryFile.mark))
        }
        try replaceDurably(url, with: data)
    }

    private func opened(_ data: Data) throws -> Data {
        let name = GalleryFile.mark.dropLast()
        guard data.starts(with: name) else { return data }
        guard data.starts(with: GalleryFile.mark) else {
            throw FaceAllError.newerFile("\(url.lastPathComponent) was encrypted by a newer version: update the app")
        }
        guard let sealing else {
            throw FaceAllError.wrongKey("\(url.lastPathComponent) is encrypted: give its key")
        }
        do {
            return try sealing.open(Data(data.dropFirst(GalleryFile.mark.count)), header: GalleryFile.mark)
        } catch {
            throw FaceAllError.wrongKey(
                "\(url.lastPathComponent) cannot be decrypted: it was written with another key, or it is damaged"
            )
        }
    }
}

/// Writes bytes to a temporary sibling, syncs it, renames it over the file and syncs the folder.
private func replaceDurably(_ url: URL, with data: Data) throws {
    let folder = url.deletingLastPathComponent()
    let draft = folder.appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString).draft")
    do {
        #if os(iOS)
        try data.write(to: draft, options: [.completeFileProtection])
        #else
        try data.write(to: draft)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: draft.path)
        #endif
        let handle = try FileHandle(forWritingTo: draft)
        try handle.synchronize()
        try handle.close()
        guard rename(draft.path, url.path) == 0 else {
            throw FaceAllError.badGallery(String(cString: strerror(errno)))
        }
    } catch {
        try? FileManager.default.removeItem(at: draft)
        throw FaceAllError.badGallery("\(url.lastPathComponent) cannot be written: \(error.localizedDescription)")
    }
    syncFolder(folder)
}

/// Syncs a folder, so that a rename in it survives a loss of power.
private func syncFolder(_ folder: URL) {
    let descriptor = open(folder.path, O_RDONLY)
    if descriptor >= 0 {
        fsync(descriptor)
        close(descriptor)
    }
}
