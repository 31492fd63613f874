// Photos that are chosen but not uploaded yet, kept in the browser (IndexedDB) so that they survive leaving the page.
// Every page of the app goes on with them; a tab takes over those of a tab that was closed.

const DATABASE = "faceall-uploads";
const STORE = "photos";
const MOST_BYTES = 2 * 1024 ** 3; // that are kept at a time
const OLDEST = 24 * 3600 * 1000; // milliseconds after which photos are dropped
const BEAT = 10_000; // milliseconds between two signs of life of a tab
const DEAD = 60_000; // milliseconds without one after which a tab counts as closed
let database;

/** Keep cards {file | url, name, person, unnamed} until they are released; `card.kept` says so. */
export async function keep(cards) {
  let bytes = 0;
  for (const card of cards) {
    if (card.released || card.key !== undefined) continue;
    bytes += card.file?.size ?? 0;
    if (bytes > MOST_BYTES) return;
    const { file, url, name, person, unnamed } = card;
    const key = await run("readwrite", (store) => store.add({ file, url, name, person, unnamed, tab: tab(), added: Date.now() }));
    if (key === undefined) return; // no room, or no database in this browser: leaving the page warns
    card.key = key;
    card.kept = true;
    if (card.released) await remove([card]);
    beat();
  }
}

/** Forget cards or entries that were uploaded, refused or stopped. */
export function release(cards) {
  for (const card of cards) card.released = true;
  return remove(cards.filter(({ key }) => key !== undefined));
}

/** Remember why an entry was refused; the page Register shows it. */
export function refuse(entry, { code, message, status }) {
  const { key, ...values } = entry;
  return run("readwrite", (store) => store.put({ ...values, problem: { code, message, status } }, key));
}

/** The entries of this tab and of closed ones, the first one first; those that were refused have a `problem`. */
export async function kept() {
  const [keys, entries] = [await run("readonly", (store) => store.getAllKeys()), await run("readonly", (store) => store.getAll())];
  const found = (entries ?? []).map((entry, place) => ({ ...entry, key: keys[place] }));
  const old = found.filter(({ added }) => Date.now() - added > OLDEST);
  await remove(old);
  return found.filter((entry) => !old.includes(entry) && (entry.tab === tab() || !lives(entry.tab)));
}

/** Mark entries as those of this tab. */
export async function adopt(entries) {
  for (const { key, ...values } of entries) {
    if (values.tab !== tab()) await run("readwrite", (store) => store.put({ ...values, tab: tab() }, key));
  }
  if (entries.length) beat();
}

/** Drop everything, when one signs out. */
export function dropAll() {
  indexedDB?.deleteDatabase(DATABASE);
}

function remove(entries) {
  return entries.length ? run("readwrite", (store) => entries.map(({ key }) => store.delete(key)).at(-1)) : undefined;
}

/** Run one request; resolves to its result, or to undefined where the browser keeps no data. */
async function run(mode, request) {
  try {
    database ??= await opened();
    return await new Promise((done, failed) => {
      const transaction = database.transaction(STORE, mode);
      const asked = request(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(asked.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  } catch {
    return undefined;
  }
}

function opened() {
  return new Promise((done, failed) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

function tab() {
  const id = sessionStorage.getItem("faceall-tab") ?? String(Math.random()).slice(2);
  sessionStorage.setItem("faceall-tab", id);
  return id;
}

function lives(id) {
  return Date.now() - Number(localStorage.getItem(`faceall-tab-${id}`) ?? 0) < DEAD;
}

let beating = 0;
function beat() {
  localStorage.setItem(`faceall-tab-${tab()}`, String(Date.now()));
  beating ||= setInterval(beat, BEAT);
}
