// Ways to add photos: drop files and folders, paste, choose.

const IMAGE = /\.(jpe?g|png|webp|tiff?|bmp|gif|jp2|ppm|pgm|hei[cf]|avif|jxl|dng|cr[23w]|nef|arw|orf|rw2|raf)$/i;
const { compare } = new Intl.Collator(undefined, { numeric: true });

/** Whether a file is an image by its type or name. */
export function isImage(file) {
  return file.type.startsWith("image/") || IMAGE.test(file.name);
}

/** Call `take(files)` with files dropped on the page; `area` is highlighted meanwhile. */
export function onDrop(area, take) {
  let depth = 0;
  const show = (change) => {
    depth = Math.max(0, depth + change);
    area.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", (event) => carriesFiles(event) && show(1));
  document.addEventListener("dragleave", (event) => carriesFiles(event) && show(-1));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(-depth);
    take(await droppedFiles(event.dataTransfer));
  });
}

/** Call `take(files)` with pasted files. */
export function onPaste(take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

/** Call `take(files)` with the files of an <input type=file>, and reset it so that they can be chosen again. */
export function onChoice(input, take) {
  input.addEventListener("change", () => {
    const files = input.webkitdirectory ? [...input.files].sort((a, b) => compare(a.webkitRelativePath, b.webkitRelativePath)) : [...input.files];
    input.value = "";
    if (files.length) take(files);
  });
}

function carriesFiles(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

// Get the entries before the first await: the browser clears the list after the event.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = (await Promise.all(entries.map((entry) => filesBelow(entry, "")))).flat();
  return files.sort((a, b) => compare(a.path, b.path));
}

async function filesBelow(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((found, failed) => entry.file(found, failed));
    file.path = folder + file.name;
    return [file];
  }
  const below = [];
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((found, failed) => reader.readEntries(found, failed)); // a hundred at a time
    if (!some.length) break;
    below.push(...some);
  }
  return (await Promise.all(below.map((child) => filesBelow(child, `${folder}${entry.name}/`)))).flat();
}
