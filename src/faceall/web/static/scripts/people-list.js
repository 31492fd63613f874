// People on the page People: the server searches and sorts, more of them are loaded when they are scrolled to.

import { copyOf } from "./base.js";
import { isNear, whenNear } from "./near.js";
import { ask } from "./request.js";
import { nameOf, root, text, textFor } from "./texts.js";

const TILES = 60; // per request; a multiple of every number of columns
const TYPING = 120; // milliseconds after a key until the search begins
const MOST_RECORDS = 60; // that a dialog shows
const NEAR = 800; // pixels from the window within which tiles are loaded

export class PeopleList {
  /** Take over the list that the server made; `selection` keeps its checked boxes. */
  constructor(list, selection) {
    Object.assign(this, { list, selection, number: 0, loading: new Set() });
    this.first = Number(list.dataset.offset);
    this.total = Number(list.dataset.total);
    this.people = new Map([...list.children].map((tile) => [Number(tile.dataset.person), recordOf(tile)]));
    this.search = document.getElementById("q");
    this.sort = document.getElementById("sort");
    this.letters = document.getElementById("letters");
    [this.begin, this.end] = [document.createElement("div"), document.createElement("div")];
    list.before(this.begin);
    list.after(this.end);
    document.querySelector("main > .pages")?.remove();
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.show(), TYPING);
    });
    this.search.form.addEventListener("submit", (event) => event.preventDefault());
    this.sort.addEventListener("change", () => this.show());
    this.letters.addEventListener("click", (event) => this.jump(event));
    whenNear(this.end, NEAR, () => this.grow());
    whenNear(this.begin, NEAR, () => this.growBack());
    addEventListener("pagehide", () => history.replaceState({ offset: this.firstSeen() }, ""));
    if (history.state?.offset) this.beginAt(history.state.offset).then(() => this.growBack());
    performance.mark("people-ready");
  }

  /** The query of the server for the search, the order and the kind of people that are shown. */
  query(values = {}) {
    const which = this.search.form.elements.unnamed.value;
    const query = new URLSearchParams({ ...(which === "hidden" ? { hidden: true } : { unnamed: which }), ...values });
    if (this.search.value.trim()) query.set("q", this.search.value.trim());
    return query;
  }

  fetch(offset, limit) {
    return ask("GET", `/people?${this.query({ sort: this.sort.value, limit, offset })}`);
  }

  /** Show the people that fit the search, in the chosen order, from the first one. */
  async show() {
    const number = await this.replace(0);
    if (number !== this.number) return;
    const found = this.sort.value === "name" && this.total > TILES ? (await ask("GET", `/people/initials?${this.query()}`)).initials : [];
    if (number === this.number) this.showLetters(found);
  }

  /** Show the people from a place on instead of those that are shown; resolves to the number of the request. */
  async replace(offset) {
    const number = ++this.number;
    const page = await this.fetch(offset, TILES);
    if (number !== this.number) return number; // another search has begun
    this.first = offset;
    this.total = page.total;
    this.list.replaceChildren(...this.tiles(page.people));
    document.getElementById("count").textContent = textFor("script.people_found", this.total);
    this.grow();
    return number;
  }

  /** Add the next tiles while the end of the list is near. */
  grow() {
    return this.load(this.end, async () => {
      const offset = this.first + this.list.children.length;
      return offset < this.total && [offset, (tiles) => this.list.append(...tiles)];
    });
  }

  /** Add the tiles before the first one; what is seen stays where it is. */
  growBack() {
    return this.load(this.begin, async () => {
      const offset = Math.max(0, this.first - TILES);
      return this.first > 0 && [offset, (tiles) => this.prepend(tiles, offset)];
    });
  }

  async load(edge, next) {
    if (this.loading.has(edge)) return;
    this.loading.add(edge);
    const number = this.number;
    try {
      for (;;) {
        const [offset, add] = (await next()) || [];
        if (offset === undefined || !isNear(edge, NEAR)) break;
        const { people } = await this.fetch(offset, offset < this.first ? this.first - offset : TILES);
        if (number !== this.number || !people.length) break;
        add(this.tiles(people));
      }
    } finally {
      this.loading.delete(edge);
    }
    if (number !== this.number) await this.load(edge, next);
  }

  prepend(tiles, offset) {
    const seen = this.list.firstElementChild;
    const before = seen.getBoundingClientRect().top;
    this.list.prepend(...tiles);
    this.first = offset;
    scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
  }

  firstSeen() {
    const seen = [...this.list.children].findIndex((tile) => tile.getBoundingClientRect().bottom > 0);
    return scrollY > 0 && seen > 0 ? this.first + seen : 0;
  }

  tiles(people) {
    return people.map((person) => {
      const shown = nameOf(person);
      const image = person.cover ? `${root}/api/v1/faces/${person.cover}/thumbnail` : "";
      this.people.set(person.id, { ...person, shown, image });
      return this.tile(this.people.get(person.id));
    });
  }

  tile(person) {
    const tile = copyOf("tile").querySelector("li");
    tile.dataset.person = person.id;
    tile.dataset.name = person.shown;
    tile.querySelector("a").href = `${root}/people/${person.id}`;
    tile.querySelector("img").src = person.image;
    tile.querySelector("[data-shown]").textContent = person.shown;
    tile.querySelector("[data-shown]").classList.toggle("unnamed", person.unnamed);
    tile.querySelector("[data-photo-count]").textContent = textFor("common.photos", person.photos);
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

  /** Offer the initials of the names, if there are many people in alphabetical order. */
  showLetters(initials) {
    this.letters.hidden = initials.length < 2;
    this.letters.replaceChildren(
      ...initials.map(({ letter, offset }) => {
        const link = document.createElement("a");
        link.href = "#people";
        link.dataset.offset = offset;
        link.textContent = letter;
        return link;
      }),
    );
  }

  async jump(event) {
    const { offset } = event.target.closest("[data-offset]")?.dataset ?? {};
    if (offset === undefined) return;
    event.preventDefault();
    await this.beginAt(Number(offset));
    this.list.querySelector("a").focus({ preventScroll: true });
    await this.growBack();
  }

  /** Begin the list at a place, with its first tile at the top of the window. */
  async beginAt(offset) {
    await this.replace(offset);
    this.list.scrollIntoView({ block: "start", behavior: "instant" });
  }

  async selectAll() {
    this.selection.add((await ask("GET", `/people/ids?${this.query()}`)).people);
  }

  /** The selected people, as many as a dialog can show; those that were not scrolled to are loaded. */
  records(ids) {
    const load = async (id) => {
      const person = await ask("GET", `/people/${id}`);
      return { ...person, shown: nameOf(person), image: person.cover ? `${root}/api/v1/faces/${person.cover}/thumbnail` : "" };
    };
    return Promise.all(ids.slice(0, MOST_RECORDS).map((id) => this.people.get(id) ?? load(id)));
  }
}

function recordOf(tile) {
  const { person, name, unnamed, photos } = tile.dataset;
  return { id: Number(person), shown: name, unnamed: unnamed === "true", photos: Number(photos), image: tile.querySelector("img")?.src ?? "" };
}
