// Elements. Texts become text nodes: nothing that a board or a server says is ever read as mark-up.

/** An element with attributes (functions are listeners, false and null leave out) and children (null leaves out). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button. One that is `off` stays in its place, and cannot be pressed. */
export function button(label, press, { off = false, ...attributes } = {}) {
  return h("button", { type: "button", click: press, disabled: off, ...attributes }, label);
}

/** A button that says whether something is on. */
export function toggle(label, on, press, attributes = {}) {
  return button(label, press, { "aria-pressed": String(Boolean(on)), ...attributes });
}

/** Targets that stand side by side: what the arrow keys and the switches walk through. */
export function row(name, items, kind = "") {
  return h("div", { class: `row ${kind}`.trim(), role: "group", "aria-label": name }, items);
}

/** A card's picture above its word; without a picture the word alone, larger. */
export function face(card) {
  const picture = card.picture ? h("img", { src: card.picture, alt: "", draggable: "false" }) : null;
  return [picture, h("span", { class: picture ? "word" : "word lone", lang: "ko" }, card.word)];
}
