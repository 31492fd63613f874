// One picture on the page for registering: its thumbnail, its faces, and what became of it.

import { copyOf } from "./base.js";
import { drawMarks } from "./marks.js";
import { explain } from "./request.js";
import { language, nameOf, text, textFor } from "./texts.js";

const TONES = { "no-face": "warn", refused: "warn", unreadable: "bad", "too-large": "bad", failed: "bad", stopped: "warn" };

export class Card {
  /** A card in `list` for a file or an address; `told` is called when it is settled. */
  constructor(list, { file, url, name, person, unnamed, told }) {
    Object.assign(this, { file, url, name, person, unnamed, told, settled: false, bad: false });
    list.append(copyOf("card"));
    this.element = list.lastElementChild;
    this.picture = this.part("picture");
    this.part("name").textContent = this.part("name").title = name;
    if (file) this.show(URL.createObjectURL(file));
  }

  sending() {
    this.say("uploading", "");
  }

  working() {
    this.say("running", "");
  }

  stop() {
    this.settle("stopped");
  }

  fail(problem) {
    this.part("message").textContent = explain(problem);
    this.settle("failed");
  }

  /** What the server found: {status, photo, width, height, faces, error?, message?}. */
  finish(result) {
    const faces = result.faces ?? [];
    if (result.photo && (this.url || this.element.classList.contains("blank"))) this.show(imageOf(result.photo));
    if (faces.length) {
      drawMarks(this.picture, result.width, result.height, faces);
      this.part("count").textContent = textFor("common.faces", faces.length);
      this.image.alt = textFor("common.photo_alt", faces.length, { name: this.name });
    }
    this.showPeople(faces);
    this.part("message").textContent = remarkOn(result);
    if (result.photo) {
      this.part("open").hidden = false;
      this.part("open").querySelector("a").href = `/photos/${result.photo}`;
    }
    this.settle(text(`outcome.${result.status}`) ? result.status : result.error ? "failed" : "registered");
  }

  showPeople(faces) {
    const people = new Map(faces.filter(({ person }) => person).map(({ person }) => [person.id, person]));
    for (const person of people.values()) {
      const link = document.createElement("a");
      link.href = `/people/${person.id}`;
      link.textContent = text("script.filed", { name: nameOf(person) });
      this.part("people").append(link, " ");
    }
  }

  get image() {
    return this.picture.querySelector("img");
  }

  // A kind of picture that the browser cannot show stays a drawing until the server has made a JPEG of it.
  show(address) {
    this.image.onload = () => {
      this.element.classList.remove("blank");
      this.picture.classList.remove("blank");
      this.picture.querySelector(".placeholder")?.remove();
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
    this.told();
  }

  part(name) {
    return this.element.querySelector(`[data-${name}]`);
  }
}

/** What is wrong with a picture, or what there is to say about it; the server says the latter in English only. */
function remarkOn({ status, error, message, notes }) {
  if (error && TONES[status] !== "warn") return explain(error);
  const said = [...(status === "duplicate" ? [message] : []), ...(notes ?? [])];
  return language.startsWith("en") ? said.join("; ") : "";
}

function imageOf(photo) {
  return `/api/v1/photos/${photo}/image?max=640`;
}
