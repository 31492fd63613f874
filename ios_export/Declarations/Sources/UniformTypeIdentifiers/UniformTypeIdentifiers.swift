@_exported import Foundation

public struct UTType: Sendable, Hashable {
    public static var data: UTType { UTType() }
    public static var image: UTType { UTType() }
}
