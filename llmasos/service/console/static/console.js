"use strict";

// Pages work without this: it sends a login link's form, puts in what the kernel has drawn anew, and lets people stay where
// they are when they say something.

const byId = (id) => document.getElementById(id);
// What an element is known by after it was drawn anew.
const known = (one) => one.id || one.getAttribute("href") || one.textContent;

function put({id, html, into, first}) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const before = byId(id);
  if (!before) {
    const place = byId(into);
    if (place) place.querySelector(":scope > p.quiet")?.remove();
    if (place) place[first ? "prepend" : "append"](made.content);
    return;
  }
  // Who reads, or is about to answer, goes on where they are.
  const focus = before.contains(document.activeElement) ? document.activeElement : null;
  const opened = [...before.querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
  const written = [...before.querySelectorAll("input[id]:not([type=checkbox]), textarea[id]")]
    .map((one) => [one.id, one.value, one.selectionStart, one.selectionEnd]);
  const scrolled = [...before.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  before.replaceWith(made.content);
  for (const [name, open] of opened) if (byId(name)) byId(name).open = open;
  for (const [name, value, start, end] of written) {
    if (byId(name)) byId(name).value = value;
    byId(name)?.setSelectionRange(start, end);
  }
  byId(id)?.querySelectorAll(".scroll").forEach((one, place) => { one.scrollLeft = scrolled[place] ?? 0; });
  if (focus) {
    const alike = byId(id)?.querySelectorAll(focus.localName) ?? [];
    [...alike].find((one) => known(one) === known(focus))?.focus({preventScroll: true});
  }
}

function change(part) {
  if (part.html !== undefined) put(part);
  else if (part.append !== undefined) byId(part.append)?.append(part.text);
  else if (byId(part.set)) byId(part.set).textContent = part.text;
}

function follow(place) {
  const lost = byId("lost");
  let source, last = "";
  function open() {
    const url = new URL(place.dataset.follow, location.href);
    if (last) url.searchParams.set("after", last);
    source = new EventSource(url);
    source.addEventListener("parts", (event) => {
      last = event.lastEventId || last;
      JSON.parse(event.data).forEach(change);
    });
    source.addEventListener("open", () => { lost.textContent = ""; document.body.dataset.live = "true"; });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) lost.textContent = lost.dataset.lost;
    });
  }
  open();
  // Browsers keep few connections to one place, which pages that nobody sees must not hold.
  document.addEventListener("visibilitychange", () => document.hidden ? source.close() : open());
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

let sending = false;

// What is said is sent beside the page where what comes of it is told there; otherwise the form is sent as it is.
async function stay(event) {
  const form = event.target, refused = byId("refused"), by = event.submitter;
  if (!form.matches("[data-stay]") || document.body.dataset.live !== "true") return;
  event.preventDefault();
  if (sending) return;
  sending = true;
  refused.replaceChildren();
  const action = by?.hasAttribute("formaction") ? by.formAction : form.action;
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(action, {method: "POST", body, redirect: "manual"});
    if (answer.type === "opaqueredirect") {
      // What is half written stays where something else was done.
      if (action === form.action) byId("say").value = "";
      byId("say").focus();
      return;
    }
    const told = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("refused");
    if (told) refused.replaceChildren(...told.childNodes);
    else location.reload();
  } catch {
    byId("lost").textContent = byId("lost").dataset.lost;
  } finally {
    sending = false;
  }
}

function sends(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  const form = event.target.closest("form.say");
  if (form) event.preventDefault();
  form?.requestSubmit();
}

// A file is chosen where any of its hunks is, and choosing it chooses all of them.
function choose({target}) {
  const file = target.closest(".file");
  if (!file) return;
  const whole = file.querySelector("[name=file]"), hunks = [...file.querySelectorAll(".hunks input")];
  const ticked = hunks.filter((one) => one.checked).length;
  if (target === whole) hunks.forEach((one) => { one.checked = whole.checked; });
  else [whole.checked, whole.indeterminate] = [ticked > 0, 0 < ticked && ticked < hunks.length];
  const all = [...target.form.querySelectorAll(".hunks input, .file:not(:has(.hunks)) [name=file]")];
  const told = byId("chosen");
  told.textContent = told.dataset.chosen.replace("{chosen}", all.filter((one) => one.checked).length).replace("{count}", all.length);
}

document.addEventListener("submit", stay);
document.addEventListener("keydown", sends);
document.addEventListener("change", choose);
document.querySelectorAll("[data-follow]").forEach(follow);
document.querySelector("form[data-send]")?.requestSubmit();
