// Draw a box around a face that the detector missed, with a mouse, a pen or a finger.

const SMALLEST = 10; // pixels of the photo

/** The button switches drawing on and off; `done(box)` is called with x0, y0, x1, y1 in pixels of the photo. */
export function setUpDrawing(frame, button, hint, done) {
  const area = frame.querySelector(".zoom");
  const drawn = document.createElement("div");
  drawn.className = "drawn";
  drawn.hidden = true;
  area.append(drawn);
  let start = null;
  const drawing = () => button.getAttribute("aria-pressed") === "true";
  const set = (on) => {
    button.setAttribute("aria-pressed", String(on));
    frame.classList.toggle("drawing", on);
    hint.hidden = !on;
    drawn.hidden = true;
    start = null;
  };
  button.addEventListener("click", () => set(!drawing()));
  area.addEventListener("pointerdown", (event) => {
    if (!drawing()) return;
    event.preventDefault();
    area.setPointerCapture(event.pointerId);
    start = place(event);
  });
  area.addEventListener("pointermove", (event) => start && show(boxOf(start, place(event))));
  area.addEventListener("pointerup", (event) => {
    if (!start) return;
    const { left, top, right, bottom } = boxOf(start, place(event));
    set(false);
    const scale = Number(frame.dataset.width) / area.clientWidth;
    const box = [left, top, right, bottom].map((value) => Math.round(value * scale * 10) / 10);
    if (Math.min(box[2] - box[0], box[3] - box[1]) >= SMALLEST) done(box);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && drawing() && set(false));

  function place(event) {
    const around = area.getBoundingClientRect();
    return { x: event.clientX - around.left, y: event.clientY - around.top };
  }

  function show({ left, top, right, bottom }) {
    Object.assign(drawn.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    drawn.hidden = false;
  }
}

function boxOf(a, b) {
  return { left: Math.min(a.x, b.x), top: Math.min(a.y, b.y), right: Math.max(a.x, b.x), bottom: Math.max(a.y, b.y) };
}
