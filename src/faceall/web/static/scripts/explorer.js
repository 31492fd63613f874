// The page that tries the API out: every operation of the OpenAPI document with its fields, and the response.

import "./base.js";
import { root, text } from "./texts.js";

const at = (id) => document.getElementById(id);
const LONGEST = 20_000; // characters of a response that are shown

const api = await (await fetch(at("document").href, { credentials: "same-origin" })).json();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) at("operations").append(makeOperation(path, method, operation));
}
at("filter").addEventListener("input", () => {
  const wanted = at("filter").value.toLowerCase();
  for (const one of at("operations").children) one.hidden = !one.textContent.toLowerCase().includes(wanted);
});

function makeOperation(path, method, operation) {
  const details = make("details", { className: "operation panel" });
  const summary = make("summary");
  summary.append(make("code", { textContent: `${method.toUpperCase()} ${path}` }), ` ${operation.summary}`);
  const form = make("form", { className: "stack tight" });
  details.append(summary, form);
  details.addEventListener("toggle", () => form.childElementCount || fill(form, path, method, operation), { once: true });
  return details;
}

function fill(form, path, method, operation) {
  const id = operation.operationId;
  const fields = (operation.parameters ?? []).map((one) => field(`${id}-${one.in}-${one.name}`, one.name, one.example ?? "", one));
  const content = operation.requestBody?.content ?? {};
  const upload = content["multipart/form-data"];
  const json = upload ? null : content["application/json"];
  const parts = Object.entries(upload ? resolve(upload.schema).properties ?? {} : {}).map(([name, schema]) => {
    const file = JSON.stringify(schema).includes("image/*");
    return field(`${id}-form-${name}`, name, "", { schema, file });
  });
  form.append(...fields.map(({ row }) => row), ...parts.map(({ row }) => row));
  const body = json && field(`${id}-body`, text("script.body"), JSON.stringify(json.example ?? sample(json.schema), null, 2), { area: true });
  if (body) form.append(body.row);
  const output = make("pre", { className: "response", tabIndex: 0, hidden: true });
  output.setAttribute("aria-label", text("script.response"));
  form.append(make("button", { className: "button primary small", textContent: text("script.send") }), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const { one, input } of fields) {
      if (!input.value) continue;
      if (one.in === "path") address = address.replace(`{${one.name}}`, encodeURIComponent(input.value));
      else if (one.in === "header") headers[one.name] = input.value;
      else for (const value of one.schema?.type === "array" ? input.value.split(",") : [input.value]) query.append(one.name, value.trim());
    }
    let sent;
    if (upload) {
      sent = new FormData();
      for (const { input } of parts) for (const value of input.files ?? [input.value]) if (value) sent.append(input.name, value);
    } else if (body?.input.value) {
      headers["Content-Type"] = "application/json";
      sent = body.input.value;
    }
    await send(output, `${root}${address}${query.size ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body: sent });
  });
}

async function send(output, address, options) {
  output.hidden = false;
  output.textContent = "…";
  const answer = await fetch(address, { credentials: "same-origin", ...options }).catch((problem) => problem);
  if (answer instanceof Error) {
    output.textContent = answer.message;
    return;
  }
  const kind = answer.headers.get("Content-Type") ?? "";
  output.textContent = `${answer.status} ${kind}\n`;
  if (kind.startsWith("image/")) {
    const image = new Image();
    image.alt = text("script.response");
    image.src = URL.createObjectURL(await answer.blob());
    output.append(image);
  } else {
    const content = await answer.text();
    const shown = kind.includes("json") ? JSON.stringify(JSON.parse(content), null, 2) : content;
    output.append(shown.slice(0, LONGEST));
  }
}

function field(id, name, value, one) {
  const row = make("div", { className: "field" });
  const label = make("label", { htmlFor: id, textContent: name });
  const input = make(one.area ? "textarea" : "input", { id, name, className: "input" });
  if (one.file) Object.assign(input, { type: "file", multiple: true });
  else input.value = value;
  if (one.in === "path") input.required = true;
  row.append(label, input);
  return { row, input, one };
}

function resolve(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? api.components.schemas[name] : (schema ?? {});
}

/** An example value of a schema. */
function sample(given) {
  const schema = resolve(given);
  if (schema.oneOf) return sample(schema.oneOf[0]);
  if (schema.enum) return schema.enum[0];
  if (schema.type === "object") return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, sample(one)]));
  if (schema.type === "array") return [sample(schema.items)];
  return { integer: 1, number: 1, boolean: false }[schema.type] ?? "";
}

function make(name, values = {}) {
  return Object.assign(document.createElement(name), values);
}
