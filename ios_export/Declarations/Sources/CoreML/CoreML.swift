import CoreVideo
@_exported import Foundation

public enum MLComputeUnits: Int, Sendable { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public class MLModelConfiguration {
    public init() {}
    public var computeUnits: MLComputeUnits = .all
}

public enum MLMultiArrayDataType { case double, float32, float16, int32 }

public class MLMultiArray {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        self.shape = shape
        self.dataType = dataType
    }

    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType
    public var strides: [NSNumber] { [] }
    public var count: Int { 0 }
    public var dataPointer: UnsafeMutableRawPointer { fatalError("a declaration") }
    public subscript(place: Int) -> NSNumber { 0 }
}

public class MLFeatureValue {
    public init(pixelBuffer: CVPixelBuffer) {}
    public init(multiArray: MLMultiArray) {}
    public var multiArrayValue: MLMultiArray? { nil }
}

public protocol MLFeatureProvider {
    func featureValue(for name: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for name: String) -> MLFeatureValue? { nil }
}

public protocol MLBatchProvider {
    var count: Int { get }
    func features(at index: Int) -> MLFeatureProvider
}

public class MLArrayBatchProvider: MLBatchProvider {
    public init(array: [MLFeatureProvider]) {}
    public var count: Int { 0 }
    public func features(at index: Int) -> MLFeatureProvider { fatalError("a declaration") }
}

public class MLPredictionOptions {
    public init() {}
}

public class MLModel {
    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {}
    public class func compileModel(at url: URL) throws -> URL { url }
    public class func compileModel(at url: URL) async throws -> URL { url }
    public func predictions(from batch: MLBatchProvider, options: MLPredictionOptions) throws -> MLBatchProvider {
        batch
    }
}
