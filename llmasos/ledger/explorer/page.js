// The page: a timeline of sessions, actions and records, what each record says, and whether its proof holds.
"use strict";

const $ = (id) => document.getElementById(id);
const { document: file, waiting, made } = JSON.parse($("data").textContent);
const MARKS = { checking: "·", good: "✓", bad: "✗", waiting: "◌" };
const WORDS = { checking: "being checked", good: "consistent with the last block", bad: "its proof fails", waiting: "not on the chain yet" };

// What hides, or turns text round, is shown: only emoji and the scripts that need joiners keep them.
const JOINED = String.raw`(?<=\p{Emoji})\ufe0f|(?<=\p{Emoji}\ufe0f?)\u200d(?=\p{Emoji})|(?<=[\u0600-\u0dff])[\u200c\u200d](?=[\u0600-\u0dff])`;
const HIDDEN = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\u{e0100}-\u{e01ef}]`;
const SPECIAL = new RegExp(`(${JOINED}|[\n\t])|${HIDDEN}`, "gu");
const shown = (text) => `${text}`.replace(SPECIAL, (found, kept) => kept ?? `\\u{${found.codePointAt(0).toString(16)}}`);

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = shown(text);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const moment = (at) => at.replace("T", " ").replace(/(\.\d{3})\d*/, "$1").replace("+00:00", "");
const entries = [
  ...(file?.proofs ?? []).map((proof) => ({ proof, record: proof.record, state: "checking" })),
  ...waiting.map((record) => ({ proof: null, record, state: "waiting" })),
].sort((a, b) => a.record.number - b.record.number);

function build() {
  const sessions = new Map();
  for (const entry of entries) {
    const { record } = entry;
    if (!sessions.has(record.session)) {
      const section = element("section");
      section.append(element("h2", record.session));
      sessions.set(record.session, { section, actions: new Map() });
    }
    const { section, actions } = sessions.get(record.session);
    const name = record.action || `record ${record.number}`;
    if (!actions.has(name)) {
      const group = element("div", undefined, { class: "action" });
      const title = element("h3");
      title.append(element("span", record.tool || record.kind), element("code", name), element("time", moment(record.at).slice(0, 19)));
      group.append(title);
      section.append(group);
      actions.set(name, group);
    }
    entry.row = element("button", undefined, { type: "button", "data-state": entry.state });
    entry.mark = element("span", MARKS[entry.state], { class: "mark", title: WORDS[entry.state] });
    entry.row.append(entry.mark, element("span", record.kind, { class: "kind" }));
    entry.row.append(element("span", summary(record), { class: "summary" }));
    entry.row.append(element("span", `${record.seq}`, { class: "seq", title: "its place in the session" }));
    entry.row.addEventListener("click", () => show(entry));
    entry.row.addEventListener("focus", () => show(entry));
    entry.text = [record.session, record.kind, record.action, record.tool, record.at, record.body ?? ""].join("\n").toLowerCase();
    actions.get(name).append(entry.row);
  }
  $("timeline").append(...[...sessions.values()].map(({ section }) => section));
  for (const name of ["session", "tool", "kind"]) {
    const values = [...new Set(entries.map(({ record }) => record[name]))].filter(Boolean).sort();
    $(name).append(...values.map((value) => element("option", value, { value })));
  }
  const actions = new Set(entries.map(({ record }) => `${record.session}\n${record.action}`));
  const counts = `${plural(entries.length, "record")} of ${plural(actions.size, "action")} in ${plural(sessions.size, "session")}`;
  const chain = file ? ` Contract ${file.contract} on chain ${file.chain_id}.` : "";
  $("about").textContent = `${counts}, exported at ${moment(made).slice(0, 19)} UTC.${chain}`;
}

function summary(record) {
  if (record.erased) return "body erased";
  if (record.body === undefined) return "without its body";
  try {
    const { asked_by: _, ...facts } = JSON.parse(record.body);
    const words = Object.entries(facts).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
    return words.join(", ").slice(0, 160);
  } catch {
    return record.body.slice(0, 160);
  }
}

function filter() {
  const wanted = $("search").value.trim().toLowerCase();
  let count = 0;
  for (const { row, record, text } of entries) {
    const chosen = ["session", "tool", "kind"].every((name) => !$(name).value || record[name] === $(name).value);
    row.hidden = !(chosen && text.includes(wanted));
    count += !row.hidden;
  }
  for (const group of document.querySelectorAll(".action, #timeline > section")) {
    group.hidden = !group.querySelector("button:not([hidden])");
  }
  $("shown").textContent = count === entries.length ? "" : `${plural(count, "record")} shown`;
}

let current = null;
function show(entry) {
  current?.row.removeAttribute("aria-current");
  current = entry;
  entry.row.setAttribute("aria-current", "true");
  const { record, found } = entry;
  const heading = element("h2", `${record.kind} · record ${record.seq}`);
  const verdict = element("p", `${MARKS[entry.state]} ${WORDS[entry.state]}${entry.problem ? `: ${entry.problem}` : ""}`, { class: "state", "data-state": entry.state });
  const facts = [
    ["Session", record.session],
    ["Action", record.action],
    ["Tool", record.tool],
    ["Recorded", `${moment(record.at)} UTC, by the recorder's clock`],
    ["Number of all", record.number],
  ];
  if (found) {
    facts.push(
      ["Block", `${found.block}, of ${moment(new Date(Math.min(found.time, 2 ** 37) * 1000).toISOString()).slice(0, 19)} UTC`],
      ["Signed by", found.account],
      ["Transaction", found.hash],
      ["Digest", found.digest],
    );
    if (found.leaf !== null) facts.push(["Leaf", `${found.leaf} of the trees, so the place in the session is the recorder's word`]);
  }
  const list = element("dl");
  for (const [name, value] of facts) if (value !== "") list.append(element("dt", name), element("dd", `${value}`));
  $("detail").replaceChildren(heading, verdict, list, element("h3", "Body"), element("pre", body(record)));
}

function body(record) {
  if (record.erased) return "It was erased, as the file says. Its hash stays proved.";
  if (record.body === undefined) return "It is not in the file. Its hash is proved.";
  try {
    return JSON.stringify(JSON.parse(record.body), null, 2);
  } catch {
    return record.body;
  }
}

function settle(entry, state, problem = "") {
  Object.assign(entry, { state, problem });
  entry.row.dataset.state = state;
  entry.mark.textContent = MARKS[state];
  entry.mark.title = WORDS[state];
  if (entry === current) show(entry);
}

let opened = null;
function total() {
  const count = (state) => entries.filter((entry) => entry.state === state).length;
  const [bad, left, good] = [count("bad"), count("checking"), count("good")];
  const expected = $("hash").value.trim().toLowerCase();
  const actual = opened?.newest ? "0x" + hex(opened.newest.hash) : "";
  const late = count("waiting") ? ` ${plural(count("waiting"), "more record")} not on the chain yet.` : "";
  const confirmed = expected !== "" && expected === actual;
  const block = actual ? `block ${opened.newest.number} of chain ${file.chain_id} has the hash ${actual}` : "";
  const wrong = bad || (expected && !confirmed);
  const state = wrong ? "bad" : left ? "checking" : !good ? "waiting" : confirmed ? "good" : "open";
  $("verdict").dataset.state = state;
  $("total").textContent = left
    ? `Checking… ${left.toLocaleString("en")} left.`
    : bad
      ? `${bad.toLocaleString("en")} of ${plural(good + bad, "proof")} failed.${late}`
      : expected && !confirmed
        ? "Nothing is proved: the last block has another hash than the expected one."
        : !good
          ? `There is nothing to prove.${late}`
          : confirmed
            ? `All ${plural(good, "record")} proved.${late}`
            : `All ${plural(good, "record")} consistent, but not proved yet.${late}`;
  $("needs").textContent = confirmed ? `As ${block}.` : block && `Everything here rests on one fact, which this page cannot know: ${block}. Compare it with a source that you trust.`;
}

function check() {
  const queue = entries.filter((entry) => entry.proof);
  if (queue.length) opened = open(file);
  const slice = () => {
    const until = performance.now() + 12;
    while (queue.length && performance.now() < until) {
      const entry = queue.shift();
      try {
        entry.found = prove(opened, entry.proof);
        settle(entry, "good");
      } catch (error) {
        settle(entry, "bad", error instanceof Forged ? error.message : "it is malformed");
        const item = element("li");
        const link = element("button", `Record ${entry.record.seq} of session ${entry.record.session}: ${entry.problem}`, { type: "button" });
        link.addEventListener("click", () => entry.row.focus());
        item.append(link);
        $("failures").append(item);
      }
    }
    total();
    if (queue.length) setTimeout(slice);
    else document.documentElement.dataset.done = "true";
  };
  slice();
}

function keys(event) {
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "Escape" && event.target === $("search")) {
    $("search").value = "";
    filter();
  } else if (/^(ArrowDown|ArrowUp|j|k)$/.test(event.key) && !(typing && event.target !== $("search"))) {
    if (event.target === $("search") && event.key !== "ArrowDown") return;
    event.preventDefault();
    const rows = [...document.querySelectorAll("#timeline button:not([hidden])")];
    const at = rows.indexOf(document.activeElement);
    const to = at < 0 ? 0 : at + (event.key === "ArrowDown" || event.key === "j" ? 1 : -1);
    rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus();
  }
}

build();
for (const name of ["search", "session", "tool", "kind"]) $(name).addEventListener("input", filter);
$("hash").addEventListener("input", total);
document.addEventListener("keydown", keys);
$("hash").value = new URLSearchParams(location.hash.slice(1)).get("block") ?? "";
check();
