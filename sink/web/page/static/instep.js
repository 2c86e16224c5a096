// The keyboard, selection and live parts of the page. Everything works without it, by links and forms.
//
// What it looks for:
//   data-rows, data-row, data-open   a list, its rows, and the link that opens a row
//   data-pick, data-pick-all         the checkbox of a row; the one that picks all
//   data-bar, data-label, data-count what appears with a selection; "Replay {n}"; a bare number
//   data-search, data-help, data-go  the search field, the button that shows the keys, the letter that follows g
//   data-announce                    where a screen reader is told of the selection
"use strict";

(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  // --- rows -------------------------------------------------------------------------------------------------

  const rows = () => all("[data-rows] [data-row]");
  const rowOf = (element) => element && element.closest("[data-row]");
  const isShown = (element) => element.getClientRects().length > 0;

  function move(step) {
    const links = rows().map((row) => one("[data-open]", row)).filter((link) => link && isShown(link));
    if (!links.length) return;
    const here = links.indexOf(one("[data-open]", rowOf(document.activeElement) || document.createElement("i")));
    const next = here < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(here + step, 0), links.length - 1);
    links[next].focus();
    rowOf(links[next]).scrollIntoView({ block: "nearest" });
  }

  // --- selection --------------------------------------------------------------------------------------------

  const picks = () => all("[data-pick]:not(:disabled)");
  let lastPicked = null;

  function pick(box, checked, range) {
    const boxes = picks();
    const from = boxes.findIndex((each) => each.value === lastPicked);
    const to = boxes.indexOf(box);
    const [first, last] = range && from >= 0 ? [Math.min(from, to), Math.max(from, to)] : [to, to];
    boxes.slice(first, last + 1).forEach((each) => { each.checked = checked; });
    lastPicked = box.value;
    showSelection(true);
  }

  function showSelection(aloud) {
    const boxes = picks();
    const picked = boxes.filter((box) => box.checked);
    boxes.forEach((box) => rowOf(box)?.classList.toggle("picked", box.checked));
    all("[data-pick-all]").forEach((box) => {
      box.checked = boxes.length > 0 && picked.length === boxes.length;
      box.indeterminate = picked.length > 0 && picked.length < boxes.length;
    });
    all("[data-bar]").forEach((bar) => {
      bar.hidden = picked.length === 0;
      all("[data-label]", bar).forEach((button) => {
        button.textContent = button.dataset.label.replace("{n}", picked.length);
      });
      all("[data-count]", bar).forEach((number) => { number.textContent = picked.length; });
    });
    if (aloud) all("[data-announce]").forEach((place) => { place.textContent = `${picked.length} selected`; });
  }

  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-pick]");
    if (box) pick(box, box.checked, event.shiftKey);
    const whole = event.target.closest("[data-pick-all]");
    if (whole) {
      picks().forEach((each) => { each.checked = whole.checked; });
      showSelection(true);
    }
    const help = event.target.closest("[data-help]");
    if (help) showHelp();
    const close = event.target.closest("[data-close]");
    if (close) close.closest("dialog").close();
  });

  // --- keys -------------------------------------------------------------------------------------------------

  const WRITING = "input:not([type=checkbox]):not([type=radio]):not([type=submit]), textarea, select, [contenteditable]";
  let leader = false;

  function showHelp() {
    const dialog = one("#help");
    if (dialog && !dialog.open) dialog.showModal();
  }

  function pickHere(range) {
    const row = rowOf(document.activeElement);
    const box = row && one("[data-pick]", row);
    if (!box) return;
    pick(box, range || !box.checked, range);
  }

  function unpick() {
    picks().forEach((box) => { box.checked = false; });
    lastPicked = null;
    showSelection(true);
  }

  // the bar's first button, so that a selection can be acted on without a walk through the list
  function toBar() {
    const bar = all("[data-bar]").find((each) => !each.hidden);
    if (bar) one("button, summary, select, input:not([type=hidden])", bar)?.focus();
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    x: () => pickHere(false),
    X: () => pickHere(true),
    a: toBar,
    "/": () => one("[data-search]")?.focus(),
    "?": showHelp,
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches(WRITING) || one("dialog[open]")) {
      if (event.key === "Escape" && event.target.matches("[data-search]")) event.target.blur();
      return;
    }
    if (leader) {
      leader = false;
      const link = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") { leader = true; return; }
    if (event.key === "Escape" && picks().some((box) => box.checked)) { unpick(); return; }
    if (Object.hasOwn(KEYS, event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });

  // --- live parts -------------------------------------------------------------------------------------------

  // What the person holds while a part is replaced: the focused element by its id, and what is picked.
  let held = null;

  document.addEventListener("htmx:before:swap", () => {
    const focused = document.activeElement;
    held = {
      focus: focused?.id || null,
      top: focused?.id ? focused.getBoundingClientRect().top : null,
      picked: new Set(picks().filter((box) => box.checked).map((box) => box.value)),
      open: new Set(all("details[open][id]").map((each) => each.id)),
    };
  });

  document.addEventListener("htmx:after:swap", () => {
    if (!held) return;
    picks().forEach((box) => { box.checked = held.picked.has(box.value); });
    held.open.forEach((id) => { const each = document.getElementById(id); if (each) each.open = true; });
    const focused = held.focus && document.getElementById(held.focus);
    if (focused) {
      // a line that was moved with its focus is not marked as focused before it is so anew
      if (!(rowOf(focused) || focused).matches(":focus-within")) {
        focused.blur();
        focused.focus({ preventScroll: true });
      }
      // what the person is at stays where it is on the screen
      if (held.top >= 0 && held.top < window.innerHeight) window.scrollBy(0, focused.getBoundingClientRect().top - held.top);
    }
    held = null;
    showSelection(false);
  });

  // --- forms ------------------------------------------------------------------------------------------------

  // A second click on a button sends nothing more; the page that comes back has new buttons.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  });

  // back and forward may bring a page with what was picked on it
  window.addEventListener("pageshow", () => {
    all("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
    all("[aria-busy]").forEach((each) => { each.removeAttribute("aria-busy"); });
    showSelection(false);
  });

  all("[data-help]").forEach((button) => { button.hidden = false; });
  showSelection(false);
})();
