import Foundation

/// Returns the SHA-256 of some data as 64 hexadecimal digits (FIPS 180-4).
///
/// CryptoKit is not used because it is not available on Linux.
public func sha256(_ data: Data) -> String {
    var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    var schedule = [UInt32](repeating: 0, count: 64)
    let whole = data.count / 64 * 64
    data.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: whole, by: 64) {
            digest(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + 64)]), &state, &schedule)
        }
    }
    var rest = [UInt8](data.suffix(data.count - whole)) + [0x80]
    rest += [UInt8](repeating: 0, count: (120 - rest.count) % 64)
    let bits = UInt64(data.count) * 8
    rest += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }
    rest.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: 64) {
            digest(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + 64)]), &state, &schedule)
        }
    }
    return state.map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
}

/// Returns the CRC-32 of some data, as used by ZIP.
public func crc32(_ data: Data) -> UInt32 {
    var remainder: UInt32 = 0xffff_ffff
    data.withUnsafeBytes { bytes in
        for byte in bytes {
            remainder = crcTable[Int((remainder ^ UInt32(byte)) & 0xff)] ^ (remainder >> 8)
        }
    }
    return remainder ^ 0xffff_ffff
}

private let crcTable: [UInt32] = (0..<256).map { number in
    (0..<8).reduce(UInt32(number)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
}

/// Updates the state with one block of 64 bytes.
private func digest(_ block: UnsafeRawBufferPointer, _ state: inout [UInt32], _ schedule: inout [UInt32]) {
    for word in 0..<16 {
        schedule[word] = UInt32(block[word * 4]) << 24 | UInt32(block[word * 4 + 1]) << 16
            | UInt32(block[word * 4 + 2]) << 8 | UInt32(block[word * 4 + 3])
    }
    for word in 16..<64 {
        let old = schedule[word - 15], new = schedule[word - 2]
        let first = turned(old, 7) ^ turned(old, 18) ^ (old >> 3)
        let second = turned(new, 17) ^ turned(new, 19) ^ (new >> 10)
        schedule[word] = schedule[word - 16] &+ first &+ schedule[word - 7] &+ second
    }
    var a = state[0], b = state[1], c = state[2], d = state[3]
    var e = state[4], f = state[5], g = state[6], h = state[7]
    for round in 0..<64 {
        let mixed = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
        let chosen = (e & f) ^ (~e & g)
        let first = h &+ mixed &+ chosen &+ roundConstants[round] &+ schedule[round]
        let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ ((a & b) ^ (a & c) ^ (b & c))
        (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    for (place, value) in [a, b, c, d, e, f, g, h].enumerated() {
        state[place] = state[place] &+ value
    }
}

private func turned(_ value: UInt32, _ places: UInt32) -> UInt32 {
    value >> places | value << (32 - places)
}

private let roundConstants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
]
