// A photo on the page Register: its image, its faces and its result.

import { copyOf } from "./base.js";
import { drawMarks } from "./marks.js";
import { explain } from "./request.js";
import { language, nameOf, remark, root, text, textFor } from "./texts.js";

const TONES = { "no-face": "warn", refused: "warn", unreadable: "bad", "too-large": "bad", failed: "bad", stopped: "warn" };

export class Card {
  /** Add a card to `list` for a file or a URL; `onSettled` is called with its result. */
  constructor(list, { file, url, name, person, unnamed, key, kept = false, sent = false, onSettled }) {
    Object.assign(this, { file, url, name, person, unnamed, key, kept, sent, onSettled, settled: false, bad: false, photo: null, faces: 0, people: [] });
    list.append(copyOf("card"));
    this.element = list.lastElementChild;
    this.frame = this.part("frame");
    this.part("name").textContent = this.part("name").title = name;
    if (file) this.show(URL.createObjectURL(file));
  }

  sending() {
    this.say("uploading", "");
  }

  working() {
    this.sent = true;
    this.say("running", "");
  }

  stop() {
    this.settle("stopped");
  }

  fail(problem) {
    this.part("message").textContent = explain(problem);
    this.settle("failed");
  }

  /** Show a result of the server: {status, photo, width, height, faces, error?, message?}. */
  finish(result) {
    const faces = result.faces ?? [];
    this.photo = result.photo;
    this.faces = faces.length;
    this.people = faces.flatMap(({ person }) => (person ? [person.id] : []));
    if (!this.name) this.part("name").textContent = this.part("name").title = this.name = result.name;
    if (result.photo && (this.url || this.element.classList.contains("blank"))) this.show(imageOf(result.photo));
    if (faces.length) {
      drawMarks(this.frame, result.width, result.height, faces);
      this.part("count").textContent = textFor("common.faces", faces.length);
      this.image.alt = textFor("common.photo_alt", faces.length, { name: this.name });
    }
    this.showPeople(faces);
    this.part("message").textContent = remarkOn(result);
    if (result.photo) {
      this.part("open").hidden = false;
      this.part("open").querySelector("a").href = `${root}/photos/${result.photo}`;
    }
    this.settle(text(`outcome.${result.status}`) ? result.status : result.error ? "failed" : "registered");
  }

  showPeople(faces) {
    const people = new Map(faces.filter(({ person }) => person).map(({ person }) => [person.id, person]));
    for (const person of people.values()) {
      const link = document.createElement("a");
      link.href = `${root}/people/${person.id}`;
      link.textContent = text("script.filed", { name: nameOf(person) });
      this.part("people").append(link, " ");
    }
  }

  get image() {
    return this.frame.querySelector("img");
  }

  // A format that the browser cannot show is a placeholder until the server has made a JPEG of it.
  show(address) {
    this.image.onload = () => {
      this.element.classList.remove("blank");
      this.frame.classList.remove("blank");
      this.frame.querySelector(".placeholder")?.remove();
    };
    this.image.src = address;
  }

  say(outcome, tone) {
    const chip = this.part("status");
    chip.textContent = text(`outcome.${outcome}`);
    chip.className = `chip ${tone}`;
  }

  settle(outcome) {
    const tone = TONES[outcome] ?? "good";
    this.say(outcome, tone);
    this.element.classList.remove("working");
    this.settled = true;
    this.bad = tone === "bad";
    this.element.classList.toggle("problem", tone !== "good");
    this.onSettled();
  }

  part(name) {
    return this.element.querySelector(`[data-${name}]`);
  }
}

/** The error or the notes of a photo. */
function remarkOn({ status, error, message, notes }) {
  if (error && TONES[status] !== "warn") return explain(error);
  const said = status === "duplicate" ? [(language.startsWith("en") ? "" : remark(message)) || message] : [];
  said.push(...(notes ?? []).map(({ kind, name }) => text(`notes.${kind}`, { name: name ?? "" })));
  return said.join("; ");
}

function imageOf(photo) {
  return `${root}/api/v1/photos/${photo}/image?max=640`;
}
