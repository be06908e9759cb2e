// The board: what is chosen, what was offered, what is said. Views draw this state; nothing here speaks unasked.

import { api } from "./api.js";
import { button, row } from "./dom.js";
import { boardView, goneView, offerView, spokenView, waitingView } from "./views.js";
import { editView } from "./edit.js";
import { historyView, partnerView, personView, recordView } from "./people.js";
import { settingsView } from "./settings.js";
import { arrows, Scanner } from "./scan.js";
import { speak } from "./speech.js";
import { FIRST, LANGUAGES } from "./words.js";

const MOST_CARDS = 4;
const VIEWS = {
  person: personView, board: boardView, waiting: waitingView, offer: offerView, spoken: spokenView, gone: goneView,
  edit: editView, partner: partnerView, history: historyView, record: recordView, settings: settingsView,
};
const SETTINGS = { language: "ko", scan: "off", pace: 1.5, theme: "auto", borders: true };
const element = (id) => document.getElementById(id);

class App {
  view = "person";
  board = { root: "", boards: {}, missing: [], faults: [], credit: "" };
  path = "";
  chosen = [];
  partner = "";
  person = null; // {id, persona, consent}; id null: nobody whose record is kept
  request = ""; // id of the sentences offered
  offered = [];
  seen = [];
  seed = 0;
  place = -1; // of the candidate that was said
  said = "";
  heard = false; // whether a voice said it
  noted = false; // whether it stands in the journal
  spoken = []; // since the page was opened
  draft = { text: "", place: -1 };
  noting = Promise.resolve(); // what goes into the journal goes in its order
  grids = new Map();
  settings = { ...SETTINGS, ...stored() };
  scanner = new Scanner();

  get t() {
    return LANGUAGES[this.settings.language];
  }

  get words() {
    return this.chosen.map((card) => card.word);
  }

  /** Draw a view; what happened is read out and stands below the title. */
  show(view, news = "") {
    const key = view === this.view ? document.activeElement?.dataset?.key : null;
    this.view = view;
    document.documentElement.lang = this.settings.language;
    document.documentElement.dataset.theme = this.settings.theme;
    document.body.classList.toggle("borders", this.settings.borders);
    document.title = element("title").textContent = this.t.title;
    element("status").textContent = news;
    element("bar").setAttribute("aria-label", this.t.say);
    const { main, bar } = VIEWS[view](this);
    element("first").replaceChildren(this.#first());
    element("main").replaceChildren(...main.filter(Boolean));
    element("bar").replaceChildren(...(bar ?? []).filter(Boolean));
    element("menu").replaceChildren(this.#menu());
    if (this.settings.scan === "off") {
      const again = key && document.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`);
      (again || element("main").querySelector("[data-first]") || element("main")).focus({ preventScroll: Boolean(again) });
      if (!again) window.scrollTo(0, 0);
    }
    this.scanner.set(this.settings.scan, this.settings.pace);
  }

  #first() {
    const phrases = FIRST.map((text) => button(text, () => this.say(text), { class: "urgent", lang: "ko" }));
    return row(this.t.first, phrases, "first");
  }

  #menu() {
    const to = (view, label) => button(label, () => this.show(view), { "data-key": `menu ${view}` });
    const partner = `${this.t.partner}: ${this.t.partners[this.partner] ?? this.partner}`;
    const views = [to("board", this.t.board), to("partner", partner), to("history", this.t.history)];
    const rest = [to("person", this.t.who), to("settings", this.t.settings)];
    const other = this.settings.language === "ko" ? "en" : "ko";
    const language = button(this.t.language, () => this.set({ language: other }), { lang: other, "data-key": "language" });
    return row(this.t.settings, [...views, ...rest, language]);
  }

  set(changes) {
    Object.assign(this.settings, changes);
    localStorage.setItem("board", JSON.stringify(this.settings));
    this.grids.clear();
    this.show(this.view);
  }

  choose(card) {
    if (card.opens) {
      this.path = card.opens;
      this.show("board", this.board.boards[card.opens].name);
    } else if (this.chosen.length >= MOST_CARDS) this.show("board", this.t.full);
    else this.choice([...this.chosen, card]);
  }

  /** Other cards: what was offered for those before is gone. */
  choice(cards) {
    Object.assign(this, { chosen: cards, offered: [], request: "", place: -1 });
    this.show("board", this.words.join(" "));
  }

  /** Three sentences for the chosen cards; `seed` above 0: others. */
  async make(seed = 0) {
    const before = this.offered;
    this.seed = seed;
    if (!seed) this.seen = [];
    const { signal } = (this.waiting = new AbortController());
    this.show("waiting", this.t.waiting);
    try {
      await this.noting; // what was just said may be the one to offer first
      const told = await api.sentences(this.#question(seed), signal);
      const fresh = told.candidates.filter(({ text }) => !this.seen.includes(text));
      this.online = true;
      if (seed && !fresh.length) {
        this.offered = before;
        this.show("offer", this.t.noMore);
        return;
      }
      [this.request, this.offered, this.place] = [told.id, told.candidates, -1];
      this.seen.push(...told.candidates.map(({ text }) => text));
      this.show("offer", told.kept === "failed" ? this.t.notKept : this.t.offered);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.gone) this.lost();
      else this.show("board", `${this.t.refused}: ${error.message}`);
    }
  }

  #question(seed) {
    const { persona = {}, id = null } = this.person ?? {};
    const context = this.partner ? { interaction_partner: this.partner } : {};
    const question = { cards: this.chosen.map(({ card }) => card), persona, context, seed };
    return id === null ? question : { ...question, person: id };
  }

  cancel() {
    this.waiting?.abort();
    this.show("board");
  }

  /** The server does not answer: the words can be said as they are, and the page says when it is back. */
  lost() {
    this.online = false;
    this.show("gone", this.t.gone);
    clearInterval(this.asking);
    this.asking = setInterval(() => {
      api.alive().then(() => {
        clearInterval(this.asking);
        this.online = true;
        if (!this.board.root) this.start();
        else if (this.view === "gone") this.show("gone", this.t.here);
      }, () => {});
    }, 1500);
  }

  /** Say a text, or show it large where this device has no voice of its own. */
  say(text) {
    this.waiting?.abort();
    this.heard = speak(text);
    [this.said, this.noted] = [text, false];
    this.spoken.unshift(text);
    this.show("spoken", this.heard ? this.t.spoken : this.t.shown);
  }

  take(place) {
    const { text } = this.offered[place];
    this.place = place;
    this.say(text);
    this.note({ event: "chosen", place, text });
  }

  raw() {
    this.say(this.words.join(" "));
  }

  none() {
    this.show("offer", this.t.noneNoted);
    this.note({ event: "none" });
  }

  edit() {
    const place = this.offered.length ? Math.max(this.place, 0) : -1;
    this.draft = { text: place < 0 ? this.words.join(" ") : this.offered[place].text, place };
    this.show("edit");
  }

  sayDraft() {
    const { place } = this.draft;
    const text = this.draft.text.trim();
    if (!text) return;
    const same = place >= 0 && text === this.offered[place].text;
    this.place = Math.max(place, 0);
    this.say(text);
    this.note(same ? { event: "chosen", place, text } : place < 0 ? { event: "typed", text } : { event: "edited", place, text });
  }

  /** What was said was not meant. */
  takeBack() {
    this.spoken.shift();
    if (this.noted) this.note({ event: "undone" });
    this.place = -1;
    this.show(this.offered.length ? "offer" : "board", this.t.undone);
  }

  fresh() {
    this.path = this.board.root;
    this.choice([]);
  }

  /** Into the person's journal, where they consented; speaking never waits for it. */
  note(event) {
    if (!this.request || !this.person?.consent?.keep) return;
    this.noted = event.event !== "undone";
    const failed = () => (element("status").textContent = this.t.notKept);
    const [id, line] = [this.person.id, { request: this.request, ...event }];
    this.noting = this.noting.then(() => api.note(id, line)).then(({ kept }) => kept || failed(), failed);
  }

  took(board) {
    Object.assign(this, { board, path: board.root, chosen: [], offered: [], request: "" });
    this.grids.clear();
  }

  async start() {
    try {
      this.took(await api.board());
      this.people = (await api.people()).people;
      this.show(this.view);
    } catch {
      this.people = [];
      this.lost();
    }
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem("board")) ?? {};
  } catch {
    return {};
  }
}

const app = new App();
document.addEventListener("keydown", (event) => {
  arrows(event);
  if (event.key === "Escape" && app.view !== "board" && app.board.root) app.cancel();
});
app.start();
