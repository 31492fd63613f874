/// Returns the offsets of all elements of an array in C order.
///
/// - Parameters:
///   - sizes: The length of each axis.
///   - steps: The distance between consecutive elements of each axis.
package func offsets(sizes: [Int], steps: [Int]) -> [Int] {
    var found = [0]
    for (size, step) in zip(sizes, steps) {
        found = found.flatMap { start in (0..<max(size, 0)).map { start + $0 * step } }
    }
    return found
}
