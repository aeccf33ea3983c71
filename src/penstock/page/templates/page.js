const data = JSON.parse(document.getElementById("data").textContent);
const { conditions, problems } = data;
const $ = (id) => document.getElementById(id);
// Whatever a page shows of a study is made here, as text: what reorders or hides text is a box.
const controls = /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;
const shown = (text) => String(text).replace(controls, "\u25a1");
const make = (tag, text = "", kind = "", more = {}) => {
  const made = document.createElement(tag);
  made.textContent = shown(text);
  made.className = kind;
  for (const [name, value] of Object.entries(more)) made.setAttribute(name, value);
  return made;
};
const group = (tag, kind, ...children) => {
  const made = make(tag, "", kind);
  made.append(...children);
  return made;
};
const button = (label, act, more) => {
  const made = make("button", label, "", { type: "button", ...more });
  made.addEventListener("click", act);
  return made;
};

// Light or dark, as the reader last chose.
const root = document.documentElement;
$("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Figures. The expression interpreter needs no eval, which the policy forbids.
let tip;
const tooltip = (_, event, __, value) => {
  if (!value) return tip && (tip.hidden = true);
  if (!tip) { tip = document.body.appendChild(make("div")); tip.id = "vg-tooltip"; }
  const lines = typeof value === "object" ? Object.entries(value).map(([k, v]) => `${k}: ${v}`) : [value];
  tip.textContent = shown(lines.join("\n"));
  tip.hidden = false;
  tip.style.setProperty("left", `${Math.min(event.clientX + 12, innerWidth - 240)}px`);
  tip.style.setProperty("top", `${event.clientY + 12}px`);
};
const views = {};
for (const mount of document.querySelectorAll("[data-figure]")) {
  const name = mount.dataset.figure;
  const spec = vegaLite.compile(data.figures[name]).spec;
  const marks = name === "matrix" ? conditions.length * problems.length : 0;
  views[name] = new vega.View(vega.parse(spec, null, { ast: true }), {
    expr: vegaInterpreter.expressionInterpreter,
    renderer: marks > 10000 ? "canvas" : "svg",
    tooltip, hover: false,
  }).initialize(mount);
  views[name].runAsync();
}
// Paper is narrower than a screen.
matchMedia("print").addEventListener("change", () => dispatchEvent(new Event("resize")));

// The forest is sorted by its columns; the marks follow the rows.
const forest = $("forest");
const order = { name: null, up: true };
forest?.querySelectorAll("[data-sort]").forEach((button) => button.addEventListener("click", () => {
  const body = forest.tBodies[0];
  const column = [...button.closest("tr").children].indexOf(button.closest("th"));
  const rows = [...body.rows];
  const plot = body.querySelector("td.plot");
  plot?.remove();
  const offset = plot && column > 1 ? 1 : 0;
  const key = (row) => {
    const text = row.cells[column - offset].textContent;
    const number = parseFloat(text.replace(/[$,%\s]|s$/g, "").replace("\u2212", "-"));
    return button.dataset.sort === "name" || Number.isNaN(number) ? text : number;
  };
  order.up = order.name === button.dataset.sort ? !order.up : button.dataset.sort === "name";
  order.name = button.dataset.sort;
  rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (order.up ? 1 : -1));
  body.append(...rows);
  if (plot) rows[0].insertBefore(plot, rows[0].cells[1] ?? null);
  const values = data.figures.forest?.data.values;
  if (values) views.forest.data("rows", rows.map((row, at) => ({ ...values[row.dataset.row], row: at + 0.5 }))).runAsync();
}));

// Every table can be copied for a spreadsheet, a paper, a page.
const escapes = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const quoted = (text) => {
  const safe = /^[=@]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};
const formats = {
  CSV: (rows) => rows.map((row) => row.map(quoted).join(",")).join("\n"),
  LaTeX: (rows) => [
    `\\begin{tabular}{l${"r".repeat(rows[0].length - 1)}}`,
    ...rows.map((row) => `${row.map((text) => text.replace(/[\\&%$#_{}~^]/g, (sign) => escapes[sign] ?? `\\${sign}`)).join(" & ")} \\\\`),
    "\\end{tabular}",
  ].join("\n"),
  Markdown: (rows) => rows
    .flatMap((row, at) => [row, ...(at ? [] : [row.map(() => "---")])])
    .map((row) => `| ${row.map((text) => text.replace(/\|/g, "\\|")).join(" | ")} |`).join("\n"),
};
for (const table of document.querySelectorAll("#evidence table")) {
  const line = make("p", "Copy as ", "copy");
  for (const [name, write] of Object.entries(formats)) {
    const copy = button(name, async () => {
      const rows = [...table.rows].map((row) => [...row.cells]
        .filter((cell) => !cell.classList.contains("plot")).map((cell) => cell.textContent.trim()));
      await navigator.clipboard.writeText(write(rows));
      copy.textContent = "copied";
      setTimeout(() => { copy.textContent = name; }, 1500);
    });
    line.append(copy);
  }
  (table.closest(".scroll") ?? table).after(line);
}

// A titled text in the panel of a run.
function block(title, value) {
  const panel = $("panel");
  panel.append(make("h3", title), make("div", value, `text${/^\s*[[{<]/.test(value) ? " code" : ""}`));
  return panel.lastChild;
}
