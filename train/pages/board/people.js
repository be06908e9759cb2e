// Who speaks, to whom, and what of it is kept.

import { api } from "./api.js";
import { button, h, row, toggle } from "./dom.js";

const CHILD = "10"; // the youngest of the age groups: a guardian consents
const fresh = () => ({ age: "", gender: "", keep: false, use: false, train: false, guardian: false });
let form = fresh();

export function personView(app) {
  const { t } = app;
  const again = (changes) => {
    form = { ...form, ...changes };
    app.show("person");
  };
  const choices = (name, told) =>
    Object.entries(told).map(([value, label]) =>
      toggle(label, form[name] === value, () => again({ [name]: value }), { "data-key": `${name} ${value}` }));
  const change = (name) => button(t[name], () => again({ [name]: !form[name] }), {
    role: "switch", "aria-checked": String(form[name]), "data-key": name, off: (name === "use" || name === "train") && !form.keep,
  });
  const known = (app.people ?? []).map(({ id }) => button(`${t.person} ${id}`, () => enter(app, id), { "data-key": `person ${id}` }));
  return {
    main: [
      h("h2", {}, t.who),
      row(t.start, [button(t.start, () => begin(app), { class: "main", "data-first": true, "data-key": "start" })], "grow"),
      known.length ? h("h2", {}, t.known) : null,
      known.length ? row(t.known, known) : null,
      h("h2", {}, t.age),
      row(t.age, choices("age", t.ages)),
      h("h2", {}, t.gender),
      row(t.gender, choices("gender", t.genders)),
      h("h2", {}, t.consent),
      h("p", {}, t.consentNote),
      row(t.keep, [change("keep"), change("use"), change("train")]),
      form.age === CHILD ? row(t.guardian, [change("guardian")]) : null,
    ],
  };
}

/** A person of the record goes on. */
async function enter(app, id) {
  try {
    const { persona, consent } = await api.person(id);
    app.person = { id, persona, consent };
    app.fresh();
  } catch (error) {
    app.show("person", `${app.t.refused}: ${error.message}`);
  }
}

/** Somebody new: only with `keep` does the server learn who. */
async function begin(app) {
  const { age, gender, keep, use, train, guardian } = form;
  const persona = { ...(age && { age: Number(age) }), ...(gender && { gender }) };
  if (keep && !age) return app.show("person", app.t.needAge);
  if (keep && age === CHILD && !guardian) return app.show("person", app.t.needGuardian);
  app.person = { id: null, persona, consent: { keep, use, train } };
  if (keep) {
    try {
      const told = await api.agree("new", { consent: { keep, use, train, guardian }, persona });
      app.person.id = told.id;
      app.people = (await api.people()).people;
    } catch (error) {
      return app.show("person", `${app.t.notKept} ${error.message}`);
    }
  }
  form = fresh();
  return app.fresh();
}

export function partnerView(app) {
  const { t } = app;
  const partners = Object.entries(t.partners).map(([value, label]) =>
    toggle(label, app.partner === value, () => {
      app.partner = value;
      app.show("board", `${t.partner}: ${label}`);
    }, { "data-key": `partner ${value}` }));
  const rows = [partners.slice(0, 5), partners.slice(5)];
  return { main: [h("h2", {}, t.partner), ...rows.map((some, line) => row(`${t.partner} ${line + 1}`, some, "grow"))] };
}

export function historyView(app) {
  const { t } = app;
  const said = app.spoken.slice(0, 20).map((text, place) => row(`${place + 1}`, [button(text, () => app.say(text), { lang: "ko" })]));
  const record = app.person?.consent?.keep ? row(t.record, [button(t.record, () => openRecord(app))]) : null;
  return {
    main: [
      h("h2", {}, t.history),
      said.length ? h("div", { class: "offers" }, said) : h("p", {}, t.noHistory),
      record,
    ],
  };
}

async function openRecord(app) {
  try {
    app.record = (await api.person(app.person.id)).events;
    app.sure = false;
    app.show("record");
  } catch (error) {
    app.show("history", `${app.t.refused}: ${error.message}`);
  }
}

export function recordView(app) {
  const { t } = app;
  const line = (event) => h("li", {}, `${t.events[event.event] ?? ""}: ${event.text ?? (event.cards ?? []).join(" + ")}`);
  return {
    main: [
      h("h2", {}, `${t.record} · ${t.person} ${app.person.id}`),
      app.record.length ? h("ul", { lang: "ko" }, app.record.map(line)) : h("p", {}, t.noRecord),
      row(t.remove, [
        button(app.sure ? t.removeSure : t.remove, () => remove(app), { class: "urgent", "data-key": "remove" }),
        button(t.back, () => app.show("history")),
      ]),
    ],
  };
}

/** Asked twice, since it cannot be undone. */
async function remove(app) {
  if (!app.sure) {
    app.sure = true;
    app.show("record", app.t.removeSure);
    return;
  }
  try {
    await api.forget(app.person.id);
    app.person = { ...app.person, id: null, consent: {} };
    app.people = (await api.people()).people;
    app.show("history", app.t.removed);
  } catch (error) {
    app.show("record", `${app.t.refused}: ${error.message}`);
  }
}
