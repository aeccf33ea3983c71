const { runs, texts, briefs } = data;
const total = runs.id?.length ?? 0;
let found = [];
fill($("condition"), conditions);
fill($("problem"), problems);
const outcome = (run) => {
  if (runs.status[run]) return ["", "failed", "skipped"][runs.status[run]];
  const value = runs.value[run];
  if (value === null) return "–";
  if (data.isShare) return value === 1 ? "● right" : "○ wrong";
  return typeof value === "number" ? +value.toPrecision(4) : value;
};
const text = (run) => (runs.text[run] === null ? null : texts[runs.text[run]]);
const lower = texts.map((each) => each.toLowerCase());
function filter() {
  const wanted = $("search").value.toLowerCase();
  const picks = ["status", "condition", "problem"].filter((id) => $(id).value !== "").map((id) => [runs[id], +$(id).value]);
  const holds = (run) => runs.id[run].includes(wanted) || problems[runs.problem[run]].toLowerCase().includes(wanted)
    || (runs.text[run] !== null && lower[runs.text[run]].includes(wanted));
  found = [...(runs.id ?? []).keys()].filter((run) => picks.every(([column, value]) => column[run] === value) && holds(run));
  found.sort((a, b) => runs.order[a] - runs.order[b]);
  at = -1;
  $("count").textContent = `${found.length.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  $("rows").scrollTop = 0;
  draw();
}
function runCount() { return found.length; }
function rowOf(place) {
  const run = found[place];
  return { failed: runs.status[run] === 1, cells: [runs.order[run] + 1, conditions[runs.condition[run]], problems[runs.problem[run]], outcome(run), `${runs.seconds[run].toFixed(2)} s`] };
}
function openAt(place, pushes) { open(found[place], pushes); }

// One run, and the same problem under the other conditions.
function open(run, pushes) {
  const panel = $("panel");
  head(`${problems[runs.problem[run]]} · ${conditions[runs.condition[run]]}`, [runs.id[run], `replicate ${runs.replicate[run]}`,
    `${runs.order[run] + 1}. of ${total.toLocaleString("en")}`, `${runs.tokens_in[run]} → ${runs.tokens_out[run]} tokens`,
    runs.cost[run] === null ? "cost not known" : `$${runs.cost[run]}`, `${runs.seconds[run]} s`, `seed ${runs.seed[run]}`,
    `${runs.attempts[run]} attempt${runs.attempts[run] === 1 ? "" : "s"}`]);
  panel.append(make("h3", "Outcome"), make("div", outcome(run)));
  if (briefs[runs.problem[run]]) block("Problem", briefs[runs.problem[run]]);
  const own = text(run);
  const answer = block(runs.status[run] === 1 ? "Error" : "Answer", own ?? `It is not in this page; penstock show ${runs.id[run]} prints it.`);
  tell(runs.id[run]);
  const others = make("div", "", "others");
  const same = [...runs.id.keys()].filter((other) => runs.problem[other] === runs.problem[run]);
  conditions.forEach((name, condition) => {
    const dots = same.filter((other) => runs.condition[other] === condition).map((other) => {
      const title = `replicate ${runs.replicate[other]}: ${outcome(other)}`;
      const dot = button(runs.status[other] === 1 ? "×" : runs.value[other] === null || (data.isShare && !runs.value[other]) ? "○" : "●",
        () => compare(answer, own ?? "", text(other) ?? ""), { title, "aria-label": `${name}, ${title}` });
      dot.className = other === run ? "current" : "";
      return dot;
    });
    if (dots.length) others.append(make("span", name), group("span", "dots", ...dots));
  });
  panel.append(make("h3", "Same problem, every condition"), others, make("p", "Choose one to see what differs from this answer.", "meta"));
  showPanel(runs.id[run], pushes);
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
  history.replaceState(null, "", `#${chosen("condition", "problem") || "runs"}`);
});
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const run = runs.id?.indexOf(wanted.get("run")) ?? -1;
  if (run >= 0) { at = found.indexOf(run); move(0); return open(run, false); }
  $("panel").hidden = true;
  const ids = ["condition", "problem"].filter((id) => wanted.has(id));
  for (const id of ids) $(id).value = wanted.get(id);
  if (ids.length) filter();
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
