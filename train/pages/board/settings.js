// Switches, display, and the board itself.

import { api } from "./api.js";
import { button, h, row, toggle } from "./dom.js";

const PACES = { least: 0.5, most: 5, step: 0.5 };

export function settingsView(app) {
  const { t, settings } = app;
  const choices = (name, told) =>
    Object.entries(told).map(([value, label]) =>
      toggle(label, settings[name] === value, () => app.set({ [name]: value }), { "data-key": `${name} ${value}` }));
  const pace = (change) => () => app.set({ pace: Math.min(PACES.most, Math.max(PACES.least, settings.pace + change)) });
  return {
    main: [
      h("h2", {}, t.scan),
      row(t.scan, choices("scan", t.scans)),
      h("p", { class: "quiet" }, t.scanNote),
      h("h2", {}, `${t.pace}: ${settings.pace} ${t.seconds}`),
      row(t.pace, [
        button(t.slower, pace(PACES.step), { "data-key": "slower" }),
        button(t.faster, pace(-PACES.step), { "data-key": "faster" }),
      ]),
      h("h2", {}, t.colours),
      row(t.colours, choices("theme", t.themes)),
      row(t.borders, [toggle(t.borders, settings.borders, () => app.set({ borders: !settings.borders }), { "data-key": "borders" })]),
      h("h2", {}, t.board),
      row(t.board, boardButtons(app)),
    ],
  };
}

function boardButtons(app) {
  const { t } = app;
  const picker = h("input", { type: "file", id: "file", accept: ".obf,.obz,application/json,application/zip", tabindex: "-1", "aria-label": t.import });
  const take = async (asked, news) => {
    try {
      app.took(await asked);
      app.show("board", news);
    } catch (error) {
      app.show("settings", `${t.refused}: ${error.message}`);
    }
  };
  picker.addEventListener("change", async () => {
    const [file] = picker.files;
    if (file) await take(base64(file).then(api.importBoard), t.imported);
  });
  return [
    button(t.import, () => picker.click(), { "data-key": "import" }),
    picker,
    button(t.export, () => window.location.assign("/v1/board/export"), { "data-key": "export" }),
    button(t.ours, () => take(api.ownBoard(), t.board), { "data-key": "ours" }),
  ];
}

/** A file's content as base64. */
async function base64(file) {
  const address = await new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(file);
  });
  return address.slice(address.indexOf(",") + 1);
}
