import Foundation

/// What the shared area of two boxes is divided by.
public enum Overlap: String, Sendable, Codable {
    /// The area that either covers: two boxes are the same thing.
    case union
    /// The area of the smaller one: a box inside another is a part of it.
    case smaller
}

/// How much of two boxes is shared, 0 to 1. A box without area overlaps nothing.
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

/// Keep the best box of every overlapping group (greedy non-maximum suppression).
///
/// - Parameters:
///   - scores: one for each box, higher is better; of equal ones the first is better
///   - limit: boxes that overlap a kept one by more than this are dropped
/// - Returns: the numbers of the kept boxes, best first
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

/// The numbers of the values from the largest to the smallest; equal ones stay in their order.
func descendingOrder(_ values: [Float]) -> [Int] {
    values.indices.sorted { values[$0] > values[$1] || (values[$0] == values[$1] && $0 < $1) }
}
