// Everyone on the page People: all records are loaded, tiles are made when they are scrolled to.

import { copyOf } from "./base.js";
import { ask } from "./request.js";
import { nameOf, root, text, textFor } from "./texts.js";

const RECORDS = 500; // per request
const TILES = 60; // that are added at a time
const ORDERS = {
  name: (a, b) => a.unnamed - b.unnamed || (a.unnamed ? a.place - b.place : compare(a.shown, b.shown)), // groups: largest first
  photos: (a, b) => b.photos - a.photos || compare(a.shown, b.shown),
  newest: (a, b) => b.id - a.id,
};
const { compare } = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });

export class PeopleList {
  /** Take over the list that the server made; `selection` keeps its checked boxes. */
  constructor(list, selection) {
    this.list = list;
    this.selection = selection;
    this.all = [];
    this.shown = [];
    this.search = document.getElementById("q");
    this.sort = document.getElementById("sort");
    this.letters = document.getElementById("letters");
    this.end = document.createElement("div");
    list.after(this.end);
    this.search.addEventListener("input", () => this.show());
    this.search.form.addEventListener("submit", (event) => event.preventDefault());
    this.sort.addEventListener("change", () => this.show());
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.grow(), { rootMargin: "800px" }).observe(this.end);
    this.load();
  }

  async load() {
    const which = new URLSearchParams(location.search).get("unnamed") ?? "all";
    const chosen = which === "hidden" ? "hidden=true" : `unnamed=${which}`;
    for (let offset = 0, total = 1; offset < total; offset += RECORDS) {
      const page = await ask("GET", `/people?${chosen}&limit=${RECORDS}&offset=${offset}`);
      total = page.total;
      for (const person of page.people) this.all.push({ ...prepared(person), place: this.all.length });
    }
    document.querySelector("main > .pages")?.remove();
    this.show();
    performance.mark("people-ready");
  }

  /** Show the people that fit the search, in the chosen order, from the first one. */
  show() {
    const query = folded(this.search.value.trim());
    this.shown = this.all.filter((person) => person.folded.includes(query)).sort(ORDERS[this.sort.value]);
    this.list.replaceChildren();
    this.grow();
    this.showLetters();
    document.getElementById("count").textContent = query ? textFor("script.people_found", this.shown.length) : "";
  }

  /** Add the next tiles; `until` is the number of tiles that are needed at least. */
  grow(until = 0) {
    const begin = this.list.children.length;
    const end = Math.min(this.shown.length, Math.max(begin + TILES, until));
    const tiles = this.shown.slice(begin, this.all.length ? end : begin).map((person) => this.tile(person));
    this.list.append(...tiles);
    // the observer reports changes only, so look again while the end is still in view
    if (tiles.length && this.end.getBoundingClientRect().top < innerHeight) requestAnimationFrame(() => this.grow());
  }

  tile(person) {
    const tile = copyOf("tile").querySelector("li");
    tile.dataset.person = person.id;
    tile.dataset.name = person.shown;
    tile.querySelector("a").href = `${root}/people/${person.id}`;
    tile.querySelector("img").src = person.image;
    tile.querySelector("[data-shown]").textContent = person.shown;
    tile.querySelector("[data-shown]").classList.toggle("unnamed", person.unnamed);
    tile.querySelector("[data-photos]").textContent = textFor("common.photos", person.photos);
    tile.querySelector("[data-select]").textContent = text("script.select", { name: person.shown });
    const box = tile.querySelector(".tile-select input");
    box.value = person.id;
    box.checked = this.selection.has(person.id);
    const form = tile.querySelector("[data-who]");
    if (!person.unnamed) form.remove();
    else {
      form.querySelector("input").id = `who-${person.id}`;
      form.querySelector("label").htmlFor = `who-${person.id}`;
      form.querySelector("label").textContent = text("script.who_of", { name: person.shown });
    }
    return tile;
  }

  /** Offer the first letters of the names, if there are many people in alphabetical order. */
  showLetters() {
    const named = this.sort.value === "name" && this.shown.length > TILES ? this.shown.filter((one) => !one.unnamed) : [];
    const first = new Map();
    for (const [place, { letter }] of named.entries()) if (!first.has(letter)) first.set(letter, place);
    this.letters.hidden = first.size < 2;
    this.letters.replaceChildren(...[...first].map(([letter, place]) => this.letterButton(letter, place)));
  }

  letterButton(letter, place) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = letter;
    button.addEventListener("click", () => {
      this.grow(place + TILES);
      this.list.children[place].scrollIntoView({ block: "start" });
      this.list.children[place].querySelector("a").focus({ preventScroll: true });
    });
    return button;
  }

  selectAll() {
    this.selection.add(this.shown.map(({ id }) => id));
  }

  records(ids) {
    return this.all.filter(({ id }) => ids.includes(id));
  }
}

function prepared(person) {
  const shown = nameOf(person);
  const image = person.cover ? `${root}/api/v1/faces/${person.cover}/thumbnail` : "";
  return { ...person, shown, image, folded: folded(shown), letter: [...shown.toUpperCase()][0] ?? "" };
}

/** A name without case and accents, for the search. */
function folded(name) {
  return name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
