import Foundation

/// A ZIP archive with uncompressed entries, which is the form of a gallery bundle.
struct Archive {
    private static let localMark: UInt32 = 0x0403_4b50
    private static let entryMark: UInt32 = 0x0201_4b50
    private static let endMark: UInt32 = 0x0605_4b50
    private static let endSize = 22
    private static let date: UInt16 = 0x21 // 1980-01-01

    /// The names of the entries, in the order of the archive.
    private(set) var names: [String] = []
    private var entries: [String: Data] = [:]

    init() {}

    subscript(name: String) -> Data? { entries[name] }

    /// Adds an entry, or replaces the entry of that name.
    mutating func set(_ name: String, _ content: Data) {
        if entries[name] == nil {
            names.append(name)
        }
        entries[name] = content
    }

    // MARK: - Writing

    /// Returns the bytes of the archive; the same entries give the same bytes.
    func data() -> Data {
        var result = Data(), directory = Data()
        for name in names {
            let content = entries[name] ?? Data(), label = Data(name.utf8), checksum = crc32(content)
            let offset = UInt32(result.count)
            var common = Data()
            common.append(short: 10) // version needed
            common.append(short: 0) // flags
            common.append(short: 0) // stored
            common.append(short: 0) // time
            common.append(short: Archive.date)
            common.append(long: checksum)
            common.append(long: UInt32(content.count))
            common.append(long: UInt32(content.count))
            common.append(short: UInt16(label.count))
            common.append(short: 0) // extra fields
            result.append(long: Archive.localMark)
            result.append(common)
            result.append(label)
            result.append(content)
            directory.append(long: Archive.entryMark)
            directory.append(short: 10) // made by
            directory.append(common)
            directory.append(short: 0) // comment
            directory.append(short: 0) // disk
            directory.append(short: 0) // internal attributes
            directory.append(long: 0) // external attributes
            directory.append(long: offset)
            directory.append(label)
        }
        let start = UInt32(result.count)
        result.append(directory)
        result.append(long: Archive.endMark)
        result.append(long: 0) // disks
        result.append(short: UInt16(names.count))
        result.append(short: UInt16(names.count))
        result.append(long: UInt32(directory.count))
        result.append(long: start)
        result.append(short: 0) // comment
        return result
    }

    // MARK: - Reading

    /// Reads an archive.
    ///
    /// - Throws: `FaceAllError.badGallery` if the archive is damaged or has compressed or encrypted entries.
    init(_ file: Data) throws {
        let data = Data(file) // its indices start at 0
        guard data.count >= Archive.endSize else { throw Archive.damaged("it is too short") }
        let end = data.count - Archive.endSize
        guard data.long(end) == Archive.endMark, data.short(end + 20) == 0 else {
            throw Archive.damaged("the end record is missing")
        }
        let count = Int(data.short(end + 10)), size = Int(data.long(end + 12)), start = Int(data.long(end + 16))
        guard data.long(end + 4) == 0, Int(data.short(end + 8)) == count, start + size == end else {
            throw Archive.damaged("its directory is not at the stated offset")
        }
        var place = start
        var taken: [Range<Int>] = []
        for _ in 0..<count {
            taken.append(try read(data, &place, end: end, contentsEnd: start))
        }
        guard place == end else { throw Archive.damaged("its directory is longer than stated") }
        let sorted = taken.sorted { $0.lowerBound < $1.lowerBound }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.upperBound > next.lowerBound {
            throw Archive.damaged("its entries overlap")
        }
    }

    /// Reads one entry and moves `place` to the next entry of the directory.
    private mutating func read(_ data: Data, _ place: inout Int, end: Int, contentsEnd: Int) throws -> Range<Int> {
        guard place + 46 <= end, data.long(place) == Archive.entryMark else {
            throw Archive.damaged("its directory is damaged")
        }
        let flags = data.short(place + 8), method = data.short(place + 10), checksum = data.long(place + 16)
        let size = Int(data.long(place + 24)), nameSize = Int(data.short(place + 28))
        let more = Int(data.short(place + 30)) + Int(data.short(place + 32)), offset = Int(data.long(place + 42))
        guard place + 46 + nameSize + more <= end else { throw Archive.damaged("its directory is damaged") }
        let label = data.subdata(in: (place + 46)..<(place + 46 + nameSize))
        guard let name = String(data: label, encoding: .ascii), !name.isEmpty, entries[name] == nil else {
            throw Archive.damaged("an entry has no valid name, or two entries have the same name")
        }
        guard method == 0, flags & 1 == 0, Int(data.long(place + 20)) == size else {
            throw Archive.damaged("'\(name)' is compressed or encrypted, expected a stored entry")
        }
        guard offset + 30 <= contentsEnd, data.long(offset) == Archive.localMark else {
            throw Archive.damaged("'\(name)' is not where the directory says")
        }
        let labelSize = Int(data.short(offset + 26))
        let first = offset + 30 + labelSize + Int(data.short(offset + 28))
        guard first + size <= contentsEnd, labelSize == nameSize,
              data.subdata(in: (offset + 30)..<(offset + 30 + labelSize)) == label
        else {
            throw Archive.damaged("'\(name)' is not where the directory says")
        }
        let content = data.subdata(in: first..<(first + size))
        guard crc32(content) == checksum else { throw Archive.damaged("the checksum of '\(name)' is wrong") }
        set(name, content)
        place += 46 + nameSize + more
        return offset..<(first + size)
    }

    private static func damaged(_ what: String) -> FaceAllError {
        .badGallery("the gallery's file is damaged: \(what)")
    }
}

extension Data {
    fileprivate mutating func append(short value: UInt16) {
        append(contentsOf: [UInt8(value & 0xff), UInt8(value >> 8)])
    }

    fileprivate mutating func append(long value: UInt32) {
        append(short: UInt16(value & 0xffff))
        append(short: UInt16(value >> 16))
    }

    fileprivate func short(_ place: Int) -> UInt16 {
        UInt16(self[place]) | UInt16(self[place + 1]) << 8
    }

    fileprivate func long(_ place: Int) -> UInt32 {
        UInt32(short(place)) | UInt32(short(place + 2)) << 16
    }
}
