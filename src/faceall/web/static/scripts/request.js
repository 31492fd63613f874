// Requests to the server; error responses become `RequestError`.

import { language, remark, root, text } from "./texts.js";
import { noteChange } from "./toast.js";

const API = `${root}/api/v1`;

/** An error response: its code, e.g. "conflict", its status, and the seconds until a retry. */
export class RequestError extends Error {
  constructor(code, message, status, retryAfter) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }
}

/** Send a request to the API; `body` is FormData or is sent as JSON. Resolves to the JSON of the response. */
export async function ask(method, path, body) {
  const form = body instanceof FormData;
  const answer = await reach(API + path, {
    method,
    body: body === undefined || form ? body : JSON.stringify(body),
    headers: { Accept: "application/json", ...(body === undefined || form ? {} : { "Content-Type": "application/json" }) },
  });
  noteChange(method, path);
  return answer.status === 204 ? null : answer.json();
}

/** Post a form; resolves to a part of a page. */
export async function askForPiece(url, form) {
  const answer = await reach(url, { method: "POST", body: form, headers: { Accept: "application/json", "X-Piece": "yes" } });
  return answer.text();
}

/** The text of an error: the server's message, translated if it is known, else after the text of its code. */
export function explain({ code, message }) {
  const known = text(`problems.${code}`);
  if (!message || code === "network") return known;
  return language.startsWith("en") || !known ? sentence(message) : remark(message) || text("script.detail", { known, message });
}

/** Wait as long as the server asked for, at most a minute. */
export function pause(seconds) {
  return new Promise((resume) => setTimeout(resume, Math.min(Math.max(seconds || 1, 0.5), 60) * 1000));
}

async function reach(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new RequestError("network", text("problems.network"), 0);
  }
  if (answer.ok) return answer;
  if (answer.status === 401) location.assign(`${root}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const { error } = await answer.json().catch(() => ({}));
  throw new RequestError(error?.code ?? "internal", error?.message ?? "", answer.status, Number(answer.headers.get("Retry-After")));
}

function sentence(message) {
  return message.charAt(0).toUpperCase() + message.slice(1);
}
