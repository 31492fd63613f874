import Foundation
import XCTest
@testable import FaceAllCore

/// The golden vectors, which the Python functions of the server wrote.
enum Golden {
    /// Keys of the files that differ from the names of the properties.
    private static let renamedKeys = ["picture": "image", "chief": "primary"]

    static func data(_ name: String) throws -> Data {
        let url = try XCTUnwrap(Bundle.module.url(forResource: "Vectors/\(name)", withExtension: nil), "no \(name)")
        return try Data(contentsOf: url)
    }

    static func read<Value: Decodable>(_ name: String) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { path in
            let key = path.last?.stringValue ?? ""
            return Key(stringValue: renamedKeys[key] ?? camelCase(key))
        }
        return try decoder.decode(Value.self, from: try data(name))
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private static func camelCase(_ key: String) -> String {
        let words = key.split(separator: "_")
        return ([String(words.first ?? "")] + words.dropFirst().map(\.capitalized)).joined()
    }
}

struct GoldenImage: Decodable {
    let width: Int
    let height: Int
    let values: Data

    func pixels() throws -> Pixels {
        try Pixels(width: width, height: height, values: [UInt8](values))
    }
}

extension Box {
    init(_ edges: [Float]) {
        self.init(x0: edges[0], y0: edges[1], x1: edges[2], y1: edges[3])
    }

    var edges: [Float] { [x0, y0, x1, y1] }
}

/// Asserts that values agree to a relative error of 1e-6, the precision of float32.
func assertClose(
    _ actual: [Float], _ expected: [Float], within bound: Float = 1e-6, _ what: String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    XCTAssertEqual(actual.count, expected.count, what, file: file, line: line)
    for (one, other) in zip(actual, expected) {
        XCTAssertLessThanOrEqual(abs(one - other), bound * max(abs(other), 1), what, file: file, line: line)
    }
}

/// Asserts that two images have the same size and that their values differ by at most `levels`.
func assertSame(
    _ actual: Pixels, _ expected: Pixels, levels: Int = 0, _ what: String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    XCTAssertEqual([actual.width, actual.height], [expected.width, expected.height], what, file: file, line: line)
    let worst = zip(actual.values, expected.values).map { abs(Int($0) - Int($1)) }.max() ?? 0
    XCTAssertLessThanOrEqual(worst, levels, what, file: file, line: line)
}
