// What the page asks its own server, and nobody else.

/** The server answered that it will not, or cannot; without a status it did not answer at all. `gone`: it may later. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  get gone() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

async function ask(path, { method = "GET", body, signal } = {}) {
  const options = { method, signal, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(String(error));
  }
  const told = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Refusal(told.error?.message ?? reply.statusText, reply.status);
  return told;
}

export const api = {
  alive: () => ask("/healthz"),
  board: () => ask("/v1/board"),
  importBoard: (data) => ask("/v1/board", { method: "POST", body: { data } }),
  ownBoard: () => ask("/v1/board", { method: "DELETE" }),
  sentences: (body, signal) => ask("/v1/board/sentences", { method: "POST", body, signal }),
  people: () => ask("/v1/board/people"),
  person: (id) => ask(`/v1/board/people/${id}`),
  agree: (id, body) => ask(`/v1/board/people/${id}`, { method: "POST", body }),
  forget: (id) => ask(`/v1/board/people/${id}`, { method: "DELETE" }),
  note: (id, event) => ask(`/v1/board/people/${id}/events`, { method: "POST", body: event }),
};
