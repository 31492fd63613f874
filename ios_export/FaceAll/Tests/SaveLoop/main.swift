import FaceAllCore
import Foundation
#if canImport(Crypto)
import Crypto
import FaceAllStorage
#endif

// Saves galleries with 0, 1, 2, ... people to the file of the command line until the process is killed. After each save
// it writes the number of people as a line, so that a test knows what must not be lost.
// With a second argument, the byte of a key, the file is encrypted.
var sealing: (any GallerySealing)?
#if canImport(Crypto)
if CommandLine.arguments.count > 2, let byte = UInt8(CommandLine.arguments[2]) {
    sealing = AESGallerySealing(key: SymmetricKey(data: Data(repeating: byte, count: 32)))
}
#endif
let file = GalleryFile(URL(fileURLWithPath: CommandLine.arguments[1]), sealing: sealing)
let model = GalleryModel(name: "example", fingerprint: String(repeating: "a", count: 64), manifest: .null)
let face = Face(
    box: Box(x0: 1, y0: 2, x1: 30, y1: 40), score: 0.9, landmarks: (0..<5).map { Point(x: Float($0), y: 3) }
)
var gallery = try Gallery(model: model, size: 4, threshold: 1)
for number in 0..<1_000_000 {
    let photo = Photo(name: "\(number).jpg", sha256: sha256(Data("\(number)".utf8)), width: 10, height: 10)
    let jpeg = Data([0xff, 0xd8, 0xff]) + Data(repeating: UInt8(number % 251), count: 20_000)
    try gallery.enrol(face, vector: [1, 0, 0, 0], name: "Person \(number)", photo: photo, thumbnail: jpeg)
    try file.save(gallery)
    FileHandle.standardOutput.write(Data("\(gallery.people.count)\n".utf8))
}
