#if canImport(CoreAI)
import CoreAI
import FaceAllCore
import Foundation

/// One function of an `.aimodel` with one input and one output.
@available(iOS 27.0, macOS 27.0, *)
struct CoreAIModel: Sendable {
    private static let function = "main" // the only function of the models that faceall writes

    private let part: ModelContract.Part
    private let function: InferenceFunction

    /// Loads a model; the system specialises it for the device at the first time, and keeps the result.
    init(_ part: ModelContract.Part, at url: URL) async throws {
        self.part = part
        let found: InferenceFunction?
        do {
            found = try await AIModel(contentsOf: url).loadFunction(named: Self.function)
        } catch {
            throw FaceAllError.badModel("\(url.lastPathComponent): \(error.localizedDescription)")
        }
        guard let found else {
            throw FaceAllError.badModel("\(url.lastPathComponent) has no function '\(Self.function)'")
        }
        function = found
    }

    /// Returns the output for an input, as values in C order.
    func run(_ input: NDArray) async throws -> [Float] {
        var outputs = try await function.run(inputs: [part.input: input])
        guard let array = outputs.remove(part.output)?.ndArray else {
            throw FaceAllError.badModel("\(part.path) has no output array '\(part.output)'")
        }
        guard array.scalarType == .float32 else {
            throw FaceAllError.badModel("the output '\(part.output)' of \(part.path) is not float32")
        }
        return array.numbers
    }
}

@available(iOS 27.0, macOS 27.0, *)
extension NDArray {
    /// All values in C order, for any strides.
    var numbers: [Float] {
        view(as: Float.self).withUnsafePointer { start, shape, strides in
            var sizes: [Int] = [], steps: [Int] = []
            for axis in 0..<shape.count {
                sizes.append(shape[axis])
                steps.append(strides[axis])
            }
            return offsets(sizes: sizes, steps: steps).map { start[$0] }
        }
    }
}
#endif
