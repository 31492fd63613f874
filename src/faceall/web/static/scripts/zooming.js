// Zoom a photo with two fingers, Ctrl and the wheel, a double click, buttons and keys; it is moved by scrolling.

const MOST = 8; // times the width of the page
const STEP = 1.5;
const KEYS = { "+": STEP, "=": STEP, "-": 1 / STEP, _: 1 / STEP };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Zoom {
  /** Make `frame` zoom its content, `.zoom`; `changed(scale)` is called after every change. */
  constructor(frame, changed) {
    Object.assign(this, { frame, changed, area: frame.querySelector(".zoom"), scale: 1, pinch: null });
    frame.style.aspectRatio = `${frame.dataset.width} / ${frame.dataset.height}`;
    frame.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    frame.addEventListener("touchstart", (event) => this.begin(event), { passive: false });
    frame.addEventListener("touchmove", (event) => this.move(event), { passive: false });
    for (const end of ["touchend", "touchcancel"]) frame.addEventListener(end, () => (this.pinch = null));
    frame.addEventListener("dblclick", (event) => this.isDrawing || this.toggle(event));
    document.addEventListener("keydown", (event) => this.press(event), true); // before the shortcuts of all pages
  }

  get isDrawing() {
    return this.frame.classList.contains("drawing");
  }

  /** Zoom by a factor around a point of the window, by default the middle of the photo. */
  by(factor, point) {
    this.set(this.scale * factor, this.anchor(point));
  }

  /** Show the whole photo, or twice as large. */
  toggle(point) {
    this.set(this.scale > 1 ? 1 : 2, this.anchor(point));
  }

  reset() {
    this.set(1, this.anchor());
  }

  /** The place of a point on the frame, in pixels, and on the photo, in parts of its sides. */
  anchor(point) {
    const around = this.frame.getBoundingClientRect();
    const x = point ? point.clientX - around.left : around.width / 2;
    const y = point ? point.clientY - around.top : around.height / 2;
    return { x, y, across: (this.frame.scrollLeft + x) / this.area.offsetWidth, down: (this.frame.scrollTop + y) / this.area.offsetHeight };
  }

  /** Set the scale so that the place of the photo stays where it is on the frame. */
  set(scale, { x, y, across, down }) {
    const next = Math.min(MOST, Math.max(1, scale));
    this.scale = next < 1.02 ? 1 : next;
    this.frame.classList.toggle("zoomed", this.scale > 1);
    this.frame.dataset.zoom = this.scale.toFixed(2);
    this.area.style.width = `${this.scale * 100}%`;
    this.frame.scrollTo({ left: across * this.area.offsetWidth - x, top: down * this.area.offsetHeight - y, behavior: "instant" });
    this.changed(this.scale);
  }

  turn(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.by(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.005)), event);
  }

  begin(event) {
    if (event.touches.length !== 2 || this.isDrawing) return;
    if (event.cancelable) event.preventDefault();
    this.pinch = { spread: spread(event.touches), scale: this.scale, ...this.anchor(middle(event.touches)) };
  }

  move(event) {
    if (!this.pinch || event.touches.length !== 2) return;
    if (event.cancelable) event.preventDefault();
    const { x, y } = this.anchor(middle(event.touches));
    this.set((this.pinch.scale * spread(event.touches)) / this.pinch.spread, { ...this.pinch, x, y });
  }

  press(event) {
    const busy = event.target.closest?.("input, textarea, select, dialog, summary") || document.querySelector("dialog[open]");
    if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (KEYS[event.key]) this.by(KEYS[event.key]);
    else if (event.key === "0") this.reset();
    else if (ARROWS[event.key] && this.scale > 1) {
      const [across, down] = ARROWS[event.key];
      this.frame.scrollBy({ left: across * 80, top: down * 80, behavior: "instant" });
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

function spread([one, other]) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
}

function middle([one, other]) {
  return { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 };
}
