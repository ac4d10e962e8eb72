"use strict";

// Pages work without this: it sends a login link's form, and puts in what the kernel has drawn anew.

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
  const written = [...before.querySelectorAll("input[id]:not([type=checkbox]), textarea[id]")].map((one) => [one.id, one.value]);
  const scrolled = [...before.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  before.replaceWith(made.content);
  for (const [name, open] of opened) if (byId(name)) byId(name).open = open;
  for (const [name, value] of written) if (byId(name)) byId(name).value = value;
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

document.querySelectorAll("[data-follow]").forEach(follow);
document.querySelector("form[data-send]")?.requestSubmit();
