// The texts of the page's language, handed over by the server in a <meta>.

const entries = JSON.parse(document.querySelector('meta[name="texts"]').content);
export const language = document.documentElement.lang;
const plurals = new Intl.PluralRules(language);
const percents = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });

/** The text of a key such as "script.saved", with the values of its braces; "" for an unknown key. */
export function text(key, values = {}) {
  const found = find(key);
  return typeof found === "string" ? fill(found, values) : "";
}

/** The plural form that fits `count`. */
export function textFor(key, count, values = {}) {
  const forms = find(key);
  return fill(forms[plurals.select(count)] ?? forms.other, { count, ...values });
}

/** What a person {name, unnamed} is called; groups without a name have a number. */
export function nameOf({ name, unnamed }) {
  const number = unnamed && /^unnamed (\d+)$/.exec(name)?.[1];
  return number ? text("common.unnamed_number", { number }) : name;
}

/** A share of one in per cent, never below zero: 0.874 is 87%. */
export function percent(share) {
  return percents.format(Math.max(0, share));
}

function find(key) {
  return key.split(".").reduce((room, name) => room?.[name], entries);
}

function fill(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
