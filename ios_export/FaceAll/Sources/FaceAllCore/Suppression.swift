import Foundation

/// The area by which the intersection of two boxes is divided.
public enum Overlap: String, Sendable, Codable {
    /// The area of the union: large if both boxes show the same object.
    case union
    /// The area of the smaller box: also large if one box contains the other.
    case smaller
}

/// Returns the overlap of two boxes, 0 to 1. A box without area overlaps nothing.
public func overlap(_ first: Box, _ second: Box, _ kind: Overlap = .union) -> Float {
    let sharedWidth = max(min(first.x1, second.x1) - max(first.x0, second.x0), 0)
    let sharedHeight = max(min(first.y1, second.y1) - max(first.y0, second.y0), 0)
    let shared = sharedWidth * sharedHeight
    let whole: Float
    switch kind {
    case .union: whole = first.area + second.area - shared
    case .smaller: whole = min(first.area, second.area)
    }
    return shared / max(whole, Float.leastNormalMagnitude)
}

/// Keeps the best box of every overlapping group (greedy non-maximum suppression).
///
/// - Parameters:
///   - boxes: The boxes.
///   - scores: One score for each box; higher is better, and the first of equal ones is better.
///   - limit: Boxes that overlap a kept box by more than this are dropped.
///   - kind: How the overlap is measured.
/// - Returns: The indices of the kept boxes, best first.
public func suppress(_ boxes: [Box], scores: [Float], limit: Float, kind: Overlap = .union) -> [Int] {
    var kept: [Int] = []
    for candidate in descendingOrder(scores) {
        let isFree = kept.allSatisfy { overlap(boxes[$0], boxes[candidate], kind) <= limit }
        if isFree {
            kept.append(candidate)
        }
    }
    return kept
}

/// Returns the indices of the values, largest first; equal values keep their order.
func descendingOrder(_ values: [Float]) -> [Int] {
    values.indices.sorted { values[$0] > values[$1] || (values[$0] == values[$1] && $0 < $1) }
}
