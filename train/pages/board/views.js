// The way of a sentence: cards, waiting, three sentences, said.

import { button, face, h, row } from "./dom.js";

/** The pictograms that were chosen: they stay above whatever is made of them. */
function chosen(app) {
  const cards = app.chosen.map((card) => h("li", {}, face(card)));
  return cards.length
    ? h("ul", { class: "chosen", "aria-label": app.t.cards }, cards)
    : h("p", { class: "chosen quiet" }, app.t.empty);
}

/** What can always be done: none of these, edit, the words as they are. */
function bar(app, { none = false } = {}) {
  const words = app.chosen.length > 0;
  return [
    row(app.t.say, [
      button(app.t.none, () => app.none(), { off: !none, "data-key": "none" }),
      button(app.t.edit, () => app.edit(), { off: !words, "data-key": "edit" }),
      button(app.t.raw, () => app.raw(), { off: !words, "data-key": "raw" }),
    ], "grow"),
  ];
}

export function boardView(app) {
  const { t, board } = app;
  const some = app.chosen.length > 0;
  const remove = (count) => app.choice(app.chosen.slice(0, app.chosen.length - count));
  const actions = [
    button(t.make, () => app.make(), { off: !some, class: "main", "data-key": "make" }),
    button(t.undo, () => remove(1), { off: !some, "data-key": "undo" }),
    button(t.clear, () => remove(app.chosen.length), { off: !some, "data-key": "clear" }),
  ];
  if (app.path !== board.root) {
    actions.push(button(t.home, () => app.choose({ opens: board.root }), { "data-key": "home" }));
  }
  return {
    main: [
      h("h2", {}, app.path === board.root ? t.cards : `${t.cards} · ${board.boards[app.path]?.name ?? ""}`),
      chosen(app),
      row(t.cards, actions, "grow"),
      grid(app),
      missing(app),
      board.credit ? h("p", { class: "credit" }, `${t.credit}: ${board.credit}`) : null,
    ],
    bar: bar(app),
  };
}

/** The board's places. Drawn once: places do not move, and pictures do not flicker. */
function grid(app) {
  const { path } = app;
  if (!app.grids.has(path)) {
    const board = app.board.boards[path];
    const lines = (board?.cells ?? []).map((cells, line) => {
      const places = cells.map((card, place) => (card ? cardButton(app, card, `${path} ${line} ${place}`) : h("span", { class: "gap" })));
      const one = row(`${board.name} ${line + 1}`, places, "grid");
      one.style.gridTemplateColumns = `repeat(${cells.length}, minmax(48px, 1fr))`;
      return one;
    });
    app.grids.set(path, h("div", { class: "grids" }, lines));
  }
  return app.grids.get(path);
}

function cardButton(app, card, key) {
  const kind = card.opens ? "card opens" : "card";
  return button(face(card), () => app.choose(card), { class: kind, "data-kind": card.kind || false, "data-key": key });
}

function missing({ t, board }) {
  const list = (title, entries) => (entries.length ? [h("h2", {}, title), h("ul", {}, entries.map((text) => h("li", {}, text)))] : []);
  const cards = board.missing.map(({ label, reason }) => `${label}: ${t.reasons[reason]}`);
  const told = [...list(t.missing, cards), ...list(t.faults, board.faults)];
  return told.length ? h("details", { class: "quiet" }, h("summary", { class: "button" }, `${t.missing} (${board.missing.length})`), told) : null;
}

export function waitingView(app) {
  return {
    main: [
      h("h2", {}, app.t.waiting),
      chosen(app),
      h("div", { class: "wait", "aria-hidden": "true" }),
      row(app.t.waiting, [button(app.t.cancel, () => app.cancel(), { "data-first": true })], "grow"),
    ],
    bar: bar(app),
  };
}

export function offerView(app) {
  const { t } = app;
  const candidate = ({ text, source }, place) => {
    const note = t.sources[source] ? h("small", { lang: app.settings.language }, t.sources[source]) : null;
    return row(`${place + 1}`, [button([note, text], () => app.take(place), { lang: "ko", "data-first": !place, "data-key": `offer ${place}` })]);
  };
  return {
    main: [
      h("h2", {}, t.offered),
      chosen(app),
      h("div", { class: "offers" }, app.offered.map(candidate)),
      row(t.more, [
        button(t.more, () => app.make(app.seed + 1), { "data-key": "more" }),
        button(t.back, () => app.show("board"), { "data-key": "back" }),
      ], "grow"),
    ],
    bar: bar(app, { none: true }),
  };
}

export function spokenView(app) {
  const { t } = app;
  return {
    main: [
      h("h2", {}, app.heard ? t.spoken : t.shown),
      chosen(app),
      h("p", { class: "large", lang: "ko" }, app.said),
      app.heard ? null : h("p", { class: "quiet" }, t.noVoice),
      row(t.spoken, [
        button(t.again, () => app.say(app.said), { "data-key": "again" }),
        button(t.wrong, () => app.takeBack(), { "data-key": "wrong" }),
        button(t.next, () => app.fresh(), { class: "main", "data-first": true, "data-key": "next" }),
      ], "grow"),
    ],
    bar: bar(app),
  };
}

export function goneView(app) {
  const { t } = app;
  return {
    main: [
      h("h2", {}, app.online ? t.here : t.gone),
      chosen(app),
      app.chosen.length ? h("p", { class: "large", lang: "ko" }, app.words.join(" ")) : null,
      row(t.retry, [
        button(t.raw, () => app.raw(), { off: !app.chosen.length, class: "main", "data-first": true, "data-key": "gone raw" }),
        button(t.retry, () => (app.chosen.length ? app.make() : app.start()), { "data-key": "retry" }),
        button(t.back, () => app.show("board"), { "data-key": "back" }),
      ], "grow"),
    ],
    bar: bar(app),
  };
}
