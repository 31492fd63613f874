// Loading more of a list when one of its edges comes near the window.

/**
 * Run `work` when an element is at most `margin` pixels from the window.
 *
 * An IntersectionObserver alone is not enough: it compares frames, so an edge that leaves and returns between two of
 * them is not reported. Scrolling therefore checks the distance too. `work` may be called while it still runs.
 */
export function whenNear(edge, margin, work) {
  const check = () => isNear(edge, margin) && work();
  new IntersectionObserver(check, { rootMargin: `${margin}px` }).observe(edge);
  for (const event of ["scroll", "resize"]) addEventListener(event, check, { passive: true });
}

/** Return whether an element that is not hidden is at most `margin` pixels above or below the window. */
export function isNear(edge, margin) {
  const { top, bottom } = edge.getBoundingClientRect();
  return !edge.hidden && top < innerHeight + margin && bottom > -margin;
}
