// Questions to the server; a refusal becomes an error with a text that a person can act on.

import { language, text } from "./texts.js";

const API = "/api/v1";

/** What the server refused: its code, e.g. "conflict", the status, and after how many seconds to try again. */
export class Refusal extends Error {
  constructor(code, message, status, retryAfter) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }
}

/** Ask the programming interface; `body` is FormData or what becomes JSON. Gives the answer's JSON. */
export async function ask(method, path, body) {
  const form = body instanceof FormData;
  const answer = await reach(API + path, {
    method,
    body: body === undefined || form ? body : JSON.stringify(body),
    headers: { Accept: "application/json", ...(body === undefined || form ? {} : { "Content-Type": "application/json" }) },
  });
  return answer.status === 204 ? null : answer.json();
}

/** Post a form and get a piece of a page. */
export async function askForPiece(url, form) {
  const answer = await reach(url, { method: "POST", body: form, headers: { Accept: "application/json", "X-Piece": "yes" } });
  return answer.text();
}

/** A problem in words: what the server said, which is English; in another language after the text for its code. */
export function explain({ code, message }) {
  const known = text(`problems.${code}`);
  if (!message || code === "network") return known;
  return language.startsWith("en") || !known ? sentence(message) : text("script.detail", { known, message });
}

/** Wait as long as the server asked for, within reason. */
export function pause(seconds) {
  return new Promise((resume) => setTimeout(resume, Math.min(Math.max(seconds || 1, 0.5), 60) * 1000));
}

async function reach(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new Refusal("network", text("problems.network"), 0);
  }
  if (answer.ok) return answer;
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const { error } = await answer.json().catch(() => ({}));
  throw new Refusal(error?.code ?? "internal", error?.message ?? "", answer.status, Number(answer.headers.get("Retry-After")));
}

function sentence(message) {
  return message.charAt(0).toUpperCase() + message.slice(1);
}
