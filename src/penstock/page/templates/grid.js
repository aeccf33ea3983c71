// The table of runs, of which only rows that can be seen are in the page, and the panel of one run.
// What a page knows of its runs it says in `runCount`, `rowOf(place)` and `openAt(place, pushes)`.
const HEIGHT = 36;
let at = -1;
const fill = (select, names) => select.append(...names.map((name, value) => make("option", name, "", { value })));
const chosen = (...ids) => ids.filter((id) => $(id).value !== "").map((id) => `${id}=${$(id).value}`).join("&");
function seen() {
  const { scrollTop, clientHeight } = $("rows");
  const first = Math.max(0, Math.floor(scrollTop / HEIGHT) - 4);
  return [first, Math.min(runCount(), first + Math.ceil(clientHeight / HEIGHT) + 8)];
}
function draw() {
  const box = $("rows");
  $("space").style.setProperty("height", `${runCount() * HEIGHT}px`);
  box.querySelectorAll(".row").forEach((row) => row.remove());
  for (let [place, last] = seen(); place < last; place++) {
    const here = place;
    const { failed, cells } = rowOf(place);
    const kind = `row${place === at ? " current" : ""}${failed ? " failed" : ""}`;
    const row = make("div", "", kind, { role: "row", "aria-rowindex": place + 1 });
    row.style.setProperty("top", `${place * HEIGHT}px`);
    row.append(...cells.map((cell, column) => make("span", cell, ["", "", "", "n", "n wide"][column], { role: "gridcell" })));
    row.addEventListener("click", () => { at = here; openAt(here, true); });
    box.append(row);
  }
}
function move(step) {
  if (!runCount()) return;
  at = Math.min(runCount() - 1, Math.max(0, at + step));
  const box = $("rows");
  const top = at * HEIGHT;
  box.scrollTop = Math.min(top, Math.max(box.scrollTop, top + HEIGHT - box.clientHeight));
  draw();
  if (!$("panel").hidden) openAt(at, false);
}
function head(title, facts) {
  const tools = [["↑", "Previous run", () => move(-1)], ["↓", "Next run", () => move(1)], ["✕", "Close", close]]
    .map(([label, name, act]) => button(label, act, { "aria-label": name }));
  $("panel").replaceChildren(group("header", "", make("span", title), group("span", "tools", ...tools)),
    make("p", facts.filter(Boolean).join(" · "), "meta"));
}
function showPanel(id, pushes) {
  $("panel").hidden = false;
  $("panel").scrollTop = 0;
  if (location.hash !== `#run=${id}`) history[pushes ? "pushState" : "replaceState"](null, "", `#run=${id}`);
  draw();
}
function close() {
  $("panel").hidden = true;
  if (location.hash.startsWith("#run=")) history.pushState(null, "", "#runs");
  $("grid").focus();
}
$("rows").addEventListener("scroll", draw);
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Escape" && !$("panel").hidden) close();
  else if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "Enter" && at >= 0 && target === $("grid")) openAt(at, true);
  else if (key === "/" && $("search")) { event.preventDefault(); $("search").focus(); }
});
