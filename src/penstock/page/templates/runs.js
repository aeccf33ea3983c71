const { runs, texts, briefs } = data;

// The table of runs is virtual: only rows that can be seen are in the page.
const HEIGHT = 36;
const total = runs.id?.length ?? 0;
let found = [];
let at = -1;
const fill = (select, names) => names.forEach((name, place) => {
  const option = make("option", shown(name));
  option.value = place;
  select.append(option);
});
fill($("condition"), conditions);
fill($("problem"), problems);
const outcome = (run) => {
  if (runs.status[run] === 1) return "failed";
  if (runs.status[run] === 2) return "skipped";
  const value = runs.value[run];
  if (value === null) return "–";
  if (data.isShare) return value === 1 ? "● right" : "○ wrong";
  return typeof value === "number" ? String(+value.toPrecision(4)) : shown(value);
};
const text = (run) => (runs.text[run] === null ? null : texts[runs.text[run]]);
const lower = texts.map((each) => each.toLowerCase());
function filter() {
  const wanted = $("search").value.toLowerCase();
  const [status, condition, problem] = ["status", "condition", "problem"].map((id) => $(id).value);
  found = [];
  for (let run = 0; run < total; run++) {
    if (status !== "" && runs.status[run] !== +status) continue;
    if (condition !== "" && runs.condition[run] !== +condition) continue;
    if (problem !== "" && runs.problem[run] !== +problem) continue;
    if (wanted && !(runs.id[run].includes(wanted) || problems[runs.problem[run]].toLowerCase().includes(wanted)
      || (runs.text[run] !== null && lower[runs.text[run]].includes(wanted)))) continue;
    found.push(run);
  }
  found.sort((a, b) => runs.order[a] - runs.order[b]);
  at = -1;
  $("space").style.setProperty("height", `${found.length * HEIGHT}px`);
  $("count").textContent = `${found.length.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  $("rows").scrollTop = 0;
  draw();
}
function draw() {
  const box = $("rows");
  const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 4);
  const last = Math.min(found.length, first + Math.ceil(box.clientHeight / HEIGHT) + 8);
  box.querySelectorAll(".row").forEach((row) => row.remove());
  for (let place = first; place < last; place++) {
    const run = found[place];
    const row = make("div", undefined, `row${place === at ? " current" : ""}${runs.status[run] === 1 ? " failed" : ""}`);
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", place + 1);
    row.style.setProperty("top", `${place * HEIGHT}px`);
    const cells = [[runs.order[run] + 1], [shown(conditions[runs.condition[run]])], [shown(problems[runs.problem[run]])],
      [outcome(run), "n"], [`${runs.seconds[run].toFixed(2)} s`, "n wide"]];
    for (const [content, kind] of cells) {
      const cell = make("span", content, kind);
      cell.setAttribute("role", "gridcell");
      row.append(cell);
    }
    row.addEventListener("click", () => { at = place; open(run); });
    box.append(row);
  }
}
function move(step) {
  if (!found.length) return;
  at = Math.min(found.length - 1, Math.max(0, at + step));
  const box = $("rows");
  const top = at * HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + HEIGHT - box.clientHeight;
  draw();
  if (!$("panel").hidden) open(found[at], false);
}

// One run, and the same problem under the other conditions.
function open(run, pushes = true) {
  const panel = $("panel");
  panel.replaceChildren();
  const head = make("header");
  head.append(make("span", shown(`${problems[runs.problem[run]]} · ${conditions[runs.condition[run]]}`)));
  const tools = make("span", undefined, "tools");
  for (const [label, name, act] of [["↑", "Previous run", () => move(-1)], ["↓", "Next run", () => move(1)], ["✕", "Close", close]]) {
    const button = make("button", label);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    tools.append(button);
  }
  head.append(tools);
  const cost = runs.cost[run] === null ? "cost not known" : `$${runs.cost[run]}`;
  panel.append(head, make("p", [runs.id[run], `replicate ${runs.replicate[run]}`, `${runs.order[run] + 1}. of ${total.toLocaleString("en")}`,
    `${runs.tokens_in[run]} → ${runs.tokens_out[run]} tokens`, cost, `${runs.seconds[run]} s`, `seed ${runs.seed[run]}`,
    `${runs.attempts[run]} attempt${runs.attempts[run] === 1 ? "" : "s"}`].join(" · "), "meta"));
  panel.append(make("h3", "Outcome"), make("div", outcome(run)));
  if (briefs[runs.problem[run]]) block("Problem", briefs[runs.problem[run]]);
  const own = text(run);
  const answer = block(runs.status[run] === 1 ? "Error" : "Answer", own ?? `It is not in this page; penstock show ${runs.id[run]} prints it.`);
  tell(runs.id[run]);
  const others = make("div", undefined, "others");
  conditions.forEach((name, condition) => {
    const dots = make("span", undefined, "dots");
    for (let other = 0; other < total; other++) {
      if (runs.problem[other] !== runs.problem[run] || runs.condition[other] !== condition) continue;
      const dot = make("button", runs.status[other] === 1 ? "×" : runs.value[other] === 1 ? "●" : "○", other === run ? "current" : "");
      dot.type = "button";
      dot.title = `replicate ${runs.replicate[other]}: ${outcome(other)}`;
      dot.setAttribute("aria-label", `${name}, ${dot.title}`);
      dot.addEventListener("click", () => compare(answer, own ?? "", text(other) ?? ""));
      dots.append(dot);
    }
    if (dots.children.length) others.append(make("span", shown(name)), dots);
  });
  panel.append(make("h3", "Same problem, every condition"), others, make("p", "Choose one to see what differs from this answer.", "meta"));
  panel.hidden = false;
  panel.scrollTop = 0;
  const address = `#run=${runs.id[run]}`;
  if (location.hash !== address) history[pushes ? "pushState" : "replaceState"](null, "", address);
  draw();
}
function close() {
  $("panel").hidden = true;
  if (location.hash.startsWith("#run=")) history.pushState(null, "", "#runs");
  $("grid").focus();
}
// Words that two answers share are found by their longest common run of words.
function compare(place, one, other) {
  const [a, b] = [one, other].map((each) => shown(each).split(/(\s+)/).slice(0, 1500));
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  place.replaceChildren();
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { place.append(a[i]); i++; j++; }
    else if (j >= b.length || (i < a.length && table[i + 1][j] >= table[i][j + 1])) place.append(make("del", a[i++]));
    else place.append(make("ins", b[j++]));
  }
}
for (const id of ["search", "status", "condition", "problem"]) $(id).addEventListener("input", () => {
  filter();
  const parts = ["condition", "problem"].filter((each) => $(each).value !== "").map((each) => `${each}=${$(each).value}`);
  history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : "#runs");
});
$("rows").addEventListener("scroll", draw);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("panel").hidden) return close();
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Enter" && at >= 0 && event.target === $("grid")) open(found[at]);
  else if (event.key === "/") { event.preventDefault(); $("search").focus(); }
});
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const run = wanted.has("run") ? runs.id?.indexOf(wanted.get("run")) ?? -1 : -1;
  if (run >= 0) { at = found.indexOf(run); move(0); return open(run, false); }
  $("panel").hidden = true;
  for (const id of ["condition", "problem"]) if (wanted.has(id)) $(id).value = wanted.get(id);
  if (wanted.has("condition") || wanted.has("problem")) filter();
}
addEventListener("popstate", follow);
views.matrix?.addEventListener("click", (_, item) => {
  if (!item?.datum) return;
  $("condition").value = conditions.indexOf(item.datum.condition);
  $("problem").value = problems.indexOf(item.datum.problem);
  $("condition").dispatchEvent(new Event("input"));
  $("runs").scrollIntoView();
});
filter();
follow();
document.documentElement.dataset.ready = "yes";
