// Outlines of faces over an image, in pixels of the image; colours and widths are in the style sheet.

const SVG = "http://www.w3.org/2000/svg";

/** Draw faces [{box, landmarks}] over an image of width x height, replacing earlier ones. */
export function drawMarks(frame, width, height, faces) {
  frame.querySelector("svg.marks")?.remove();
  const drawing = make("svg", { class: "marks", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" });
  for (const { box: [left, top, right, bottom], landmarks } of faces) {
    const group = make("g");
    group.append(make("rect", { x: left, y: top, width: right - left, height: bottom - top }));
    group.append(make("path", { "stroke-width": Math.max((right - left) * 0.06, width * 0.009), d: (landmarks ?? []).map(([x, y]) => `M${x} ${y}h0`).join("") }));
    drawing.append(group);
  }
  frame.append(drawing);
}

/** Emphasise one of the drawn faces. */
export function chooseMark(frame, number) {
  [...frame.querySelectorAll(".labels g")].forEach((group, at) => {
    group.setAttribute("class", at === number ? "chosen" : "");
  });
  [...frame.querySelectorAll(".marks g")].forEach((group, at) => {
    group.setAttribute("class", at === number ? "chosen" : "dim");
  });
}

/** Give the names at the faces the size of text, however large the image is shown. */
export function fitLabels(frame) {
  const drawing = frame.querySelector(".labels");
  const fit = () => {
    const scale = Number(frame.dataset.width) / (drawing.getBoundingClientRect().width || 1);
    for (const label of drawing.querySelectorAll("text")) label.setAttribute("font-size", 14 * scale);
  };
  new ResizeObserver(fit).observe(drawing);
  fit();
}

/** Draw the crop of a face; `box` is in pixels of an image that is `width` wide. */
export function cutFace(canvas, image, box, width) {
  const scale = image.naturalWidth / width;
  const [left, top, right, bottom] = box.map((value) => value * scale);
  const side = 1.3 * Math.max(right - left, bottom - top);
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, (left + right - side) / 2, (top + bottom - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
}

function make(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
