// Correcting a sentence: by the device's keyboard, or letter by letter with the arrow keys and switches.

import { button, h, row } from "./dom.js";
import { composed, KEYS, letters } from "./hangul.js";

export function editView(app) {
  const { t } = app;
  const field = h("textarea", { id: "draft", lang: "ko", maxlength: "300", rows: "2", "data-first": true });
  field.value = app.draft.text;
  field.readOnly = app.settings.scan !== "off"; // switches are no letters
  field.addEventListener("input", () => (app.draft.text = field.value));
  const put = (text) => (app.draft.text = field.value = text);
  const type = (sign) => put(composed([...letters(field.value), sign]));
  const start = (text, place) => {
    app.draft.place = place;
    put(text);
  };
  const starts = app.offered.map(({ text }, place) => button(text, () => start(text, place), { lang: "ko", "aria-label": `${t.from}: ${text}` }));
  const erase = () => put(composed(letters(field.value).slice(0, -1)));
  return {
    main: [
      h("h2", {}, t.editing),
      h("label", { for: "draft" }, t.sentence),
      field,
      row(t.from, [...starts, button(t.blank, () => start("", -1))], "grow"),
      row(t.say, [
        button(t.say, () => app.sayDraft(), { class: "main", "data-key": "say" }),
        button(t.erase, erase, { "data-key": "erase" }),
        button(t.space, () => type(" "), { "data-key": "space" }),
        button(t.back, () => app.show(app.offered.length ? "offer" : "board"), { "data-key": "back" }),
      ], "grow"),
      ...KEYS.map((keys, line) => row(`${t.keyboard} ${line + 1}`, keys.map((key) => button(key, () => type(key), { lang: "ko" })), "keys")),
    ],
  };
}
