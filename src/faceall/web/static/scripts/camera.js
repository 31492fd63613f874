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
  const take = async () => {
    shot = await frameOf(video);
    dialog.close();
  };
  const turner = dialog.querySelector("[data-turn]");
  const shooter = dialog.querySelector("[data-shoot]");
  turner.hidden = (await countCameras()) < 2;
  turner.onclick = turn;
  shooter.onclick = take;
  dialog.showModal();
  shooter.focus();
  const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  await show();
  await closed;
  stopCamera(stream);
  video.srcObject = null;
  return shot;
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
