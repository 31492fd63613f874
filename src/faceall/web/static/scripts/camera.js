// Photos from the device's camera, or from its own camera app if scripts cannot use it.

const dialog = document.getElementById("camera");
const fallback = document.getElementById("camera-file");

/** Call `take([file])` with each photo; `button` opens the camera, `fail` is called if it cannot be used. */
export function onShot(button, take, fail) {
  fallback.addEventListener("change", () => {
    const files = [...fallback.files];
    fallback.value = "";
    if (files.length) take(files);
  });
  button.addEventListener("click", async () => {
    const stream = await openCamera("user");
    if (!stream) {
      fail();
      fallback.click();
      return;
    }
    const shot = await shoot(stream);
    if (shot) take([shot]);
  });
}

async function openCamera(side) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: side, width: { ideal: 1920 } } });
  } catch {
    return null; // missing, in use, or not allowed
  }
}

async function shoot(first) {
  const video = dialog.querySelector("video");
  let stream = first;
  let side = "user";
  let shot = null;
  let kept = null;
  const image = dialog.querySelector(".shot");
  const show = () => {
    video.srcObject = stream;
    return video.play();
  };
  const turn = async () => {
    side = side === "user" ? "environment" : "user";
    stopCamera(stream);
    stream = (await openCamera(side)) ?? (await openCamera("user"));
    if (stream) await show();
  };
  const turner = dialog.querySelector("[data-turn]");
  const shooter = dialog.querySelector("[data-shoot]");
  const again = dialog.querySelector("[data-again]");
  const keeper = dialog.querySelector("[data-keep]");
  const several = (await countCameras()) > 1;
  /** Show the live image, or the photo that was taken. */
  const look = (file) => {
    URL.revokeObjectURL(image.src);
    shot = file;
    if (file) image.src = URL.createObjectURL(file);
    video.hidden = shooter.hidden = Boolean(file);
    image.hidden = again.hidden = keeper.hidden = !file;
    turner.hidden = Boolean(file) || !several;
    (file ? keeper : shooter).focus();
  };
  turner.onclick = turn;
  shooter.onclick = async () => video.videoWidth && look(await frameOf(video)); // no image before the camera has begun
  again.onclick = () => look(null);
  keeper.onclick = () => {
    kept = shot;
    dialog.close();
  };
  dialog.showModal();
  look(null);
  const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  await show();
  await closed;
  stopCamera(stream);
  video.srcObject = null;
  URL.revokeObjectURL(image.src);
  return kept;
}

async function frameOf(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const content = await new Promise((made) => canvas.toBlob(made, "image/jpeg", 0.92));
  const moment = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return new File([content], `camera-${moment}.jpg`, { type: "image/jpeg" });
}

async function countCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput").length;
}

function stopCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
