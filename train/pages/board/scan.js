// Walking through the targets: by arrow keys, or by one or two switches, row by row and then target by target.

const targetsOf = (row) => [...row.querySelectorAll("button:not(:disabled)")];

/** Rows of targets in the order of the page. */
export function rows() {
  return [...document.querySelectorAll(".row")].filter((row) => targetsOf(row).length && row.offsetParent !== null);
}

/** Arrow keys: left and right along the targets, up and down to the nearest one of the next row. */
export function arrows(event) {
  const here = document.activeElement;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || here?.matches("textarea, input") || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = rows();
  const row = all.findIndex((one) => one.contains(here));
  let next;
  if (row < 0) next = targetsOf(all[0])[0];
  else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    const targets = all.flatMap(targetsOf);
    next = targets[targets.indexOf(here) + step];
  } else {
    const middle = (one) => one.getBoundingClientRect().left + one.getBoundingClientRect().width / 2;
    const distance = (one) => Math.abs(middle(one) - middle(here));
    next = targetsOf(all[row + step] ?? all[row]).reduce((best, one) => (distance(one) < distance(best) ? one : best));
  }
  event.preventDefault();
  next?.focus();
}

/** One switch: time moves the mark, the switch chooses. Two switches: the first moves it, the second chooses. */
export class Scanner {
  mode = "off";
  pace = 1.5; // seconds a step
  #row = -1;
  #target = -1; // -1: rows are walked
  #rounds = 0;
  #clock = 0;

  constructor() {
    document.addEventListener("keydown", (event) => this.#key(event), true);
  }

  set(mode, pace) {
    this.mode = mode;
    this.pace = pace;
    this.restart();
  }

  /** From the first row: the page has changed. */
  restart() {
    [this.#row, this.#target, this.#rounds] = [-1, -1, 0];
    this.#mark(null);
    clearInterval(this.#clock);
    if (this.mode === "one") this.#clock = setInterval(() => this.move(), this.pace * 1000);
    if (this.mode !== "off") this.move();
  }

  /** The mark to the next row or target. After two rounds in a row's targets the rows are walked again. */
  move() {
    const all = rows();
    if (!all.length) return;
    if (this.#target < 0) {
      this.#row = (this.#row + 1) % all.length;
      this.#mark(all[this.#row]);
      return;
    }
    const targets = targetsOf(all[this.#row] ?? all[0]);
    this.#target += 1;
    if (this.#target >= targets.length) {
      this.#target = 0;
      this.#rounds += 1;
    }
    if (this.#rounds >= 2) {
      [this.#target, this.#rounds, this.#row] = [-1, 0, this.#row - 1];
      this.move();
    } else this.#mark(targets[this.#target]);
  }

  /** Into the marked row, or the marked target pressed. */
  choose() {
    const row = rows()[this.#row];
    if (!row) return;
    const targets = targetsOf(row);
    if (this.#target < 0 && targets.length > 1) {
      [this.#target, this.#rounds] = [0, 0];
      this.#mark(targets[0]);
      if (this.mode === "one") {
        clearInterval(this.#clock);
        this.#clock = setInterval(() => this.move(), this.pace * 1000);
      }
      return;
    }
    const pressed = targets[Math.max(this.#target, 0)];
    this.restart();
    pressed?.click();
  }

  #key(event) {
    if (this.mode === "off" || (event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return; // a switch that is held is one press
    if (this.mode === "two" && event.key === " ") this.move();
    else this.choose();
  }

  #mark(element) {
    for (const marked of document.querySelectorAll(".marked")) marked.classList.remove("marked");
    if (!element) return;
    element.classList.add("marked");
    if (element.classList.contains("row")) element.tabIndex = -1;
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }
}
