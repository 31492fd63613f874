// The texts of the page's language, from a <meta> element.

const entries = JSON.parse(document.querySelector('meta[name="texts"]').content);
export const root = document.querySelector('meta[name="root"]').content; // the path below which the app is served
export const language = document.documentElement.lang;
const plurals = new Intl.PluralRules(language);

/** The text of a key such as "script.empty" with its placeholders filled in; "" for an unknown key. */
export function text(key, values = {}) {
  const found = find(key);
  return typeof found === "string" ? fill(found, values) : "";
}

/** The plural form for `count`. */
export function textFor(key, count, values = {}) {
  const forms = find(key);
  return fill(forms[plurals.select(count)] ?? forms.other, { count, ...values });
}

/** The name of a person {name, unnamed}; groups without a name have a number. */
export function nameOf({ name, unnamed }) {
  const number = unnamed && /^unnamed (\d+)$/.exec(name)?.[1];
  return number ? text("common.unnamed_number", { number }) : name;
}

/** A message of the server in the page's language; "" if it is not known. */
export function remark(message) {
  for (const [pattern, name] of entries.patterns ?? []) {
    const found = new RegExp(pattern, "u").exec(message.replace(/^https?:\/\/\S+: /, ""));
    if (found) return text(`remarks.${name}`, found.groups ?? {});
  }
  return "";
}

function find(key) {
  return key.split(".").reduce((section, name) => section?.[name], entries);
}

function fill(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
